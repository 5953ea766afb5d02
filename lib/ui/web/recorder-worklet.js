/* Runs in the sound's own thread: gathers the microphone's samples and hands them over, about 50 times a second. */
class M8Recorder extends AudioWorkletProcessor {
    constructor() {
        super();
        this.block = new Float32Array(Math.max(128, Math.floor(sampleRate / 50 / 128) * 128));
        this.used = 0;
        this.on = true;
        this.port.onmessage = ({ data }) => {
            if (data !== "stop") return;
            this.hand(true);
            this.on = false;
        };
    }

    hand(last) {
        this.port.postMessage({ samples: this.block.slice(0, this.used), last });
        this.used = 0;
    }

    process([input]) {
        if (!this.on) return false;
        const n = input.length ? input[0].length : 0;
        for (let i = 0; i < n; i++) {
            let sum = 0;
            for (const channel of input) sum += channel[i];
            this.block[this.used++] = sum / input.length;
            if (this.used === this.block.length) this.hand(false);
        }
        return true;
    }
}
registerProcessor("m8-recorder", M8Recorder);
