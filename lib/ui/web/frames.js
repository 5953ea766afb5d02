/* Cuts a growing stream of MP3 or ADTS AAC bytes into its frames. No audio is decoded here.
 * Headers: ISO/IEC 11172-3 2.4.2.3 (MP3), ISO/IEC 13818-7 6.2 (ADTS). */

const mp3Rates = [[11025, 12000, 8000], null, [22050, 24000, 16000], [44100, 48000, 32000]]; /* by version bits: 2.5, -, 2, 1 */
const mp3Kbits = [[0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320], [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]];
const aacRates = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/* The frame whose header stands at b[i], or null. Needs 7 bytes there. */
export function frameAt(b, i) {
    if (b[i] !== 0xff || (b[i + 1] & 0xe0) !== 0xe0) return null;
    if ((b[i + 1] & 0xf6) === 0xf0) {
        const rate = aacRates[(b[i + 2] >> 2) & 15], size = ((b[i + 3] & 3) << 11) | (b[i + 4] << 3) | (b[i + 5] >> 5);
        const channels = ((b[i + 2] & 1) << 2) | (b[i + 3] >> 6);
        return rate && size >= 7 ? { kind: "aac", rate, size, channels: channels || 2, samples: 1024 * (1 + (b[i + 6] & 3)) } : null;
    }
    const version = (b[i + 1] >> 3) & 3, layer = (b[i + 1] >> 1) & 3, one = version === 3;
    if (layer !== 1) return null;
    const rate = mp3Rates[version]?.[(b[i + 2] >> 2) & 3], kbits = mp3Kbits[one ? 0 : 1][b[i + 2] >> 4];
    if (!rate || !kbits) return null;
    const size = Math.floor((one ? 144 : 72) * kbits * 1000 / rate) + ((b[i + 2] >> 1) & 1);
    return { kind: "mp3", rate, size, channels: b[i + 3] >> 6 === 3 ? 1 : 2, samples: one ? 1152 : 576 };
}

/* A first frame that only tells about the file: a decoder would cut samples off because of it, and it has no sound. */
function isHeaderOnly(b, i, f) {
    if (f.kind !== "mp3") return false;
    const side = f.samples === 1152 ? (f.channels === 1 ? 17 : 32) : (f.channels === 1 ? 9 : 17);
    const word = (at) => String.fromCharCode(...b.subarray(at, at + 4));
    return ["Xing", "Info"].includes(word(i + 4 + side)) || word(i + 36) === "VBRI";
}

export class Frames {
    constructor() {
        this.data = new Uint8Array(1 << 16);
        this.length = 0;
        this.at = 0;       /* looked at up to here */
        this.list = [];    /* { at, size, start }: where the bytes lie, and its first sample */
        this.samples = 0;
        this.format = null; /* the first frame's { kind, rate, channels, samples, size } */
    }

    push(bytes) {
        if (this.length + bytes.length > this.data.length) {
            const bigger = new Uint8Array(Math.max(this.data.length * 2, this.length + bytes.length));
            bigger.set(this.data.subarray(0, this.length));
            this.data = bigger;
        }
        this.data.set(bytes, this.length);
        this.length += bytes.length;
        this.scan();
    }

    scan(ended = false) {
        const { data, length } = this;
        while (this.at + 10 <= length) {
            if (data[this.at] === 0x49 && data[this.at + 1] === 0x44 && data[this.at + 2] === 0x33) { /* ID3v2 */
                const size = [6, 7, 8, 9].reduce((n, k) => (n << 7) | (data[this.at + k] & 0x7f), 0) + 10;
                if (this.at + size > length) return;
                this.at += size;
                continue;
            }
            const f = frameAt(data, this.at);
            if (!f || (this.format && (f.kind !== this.format.kind || f.rate !== this.format.rate))) {
                this.at++;
                continue;
            }
            if (this.at + f.size > length) return;
            /* The first one is believed only with another behind it: any two bytes may look like a header. */
            if (!this.format && !ended) {
                if (this.at + f.size + 7 > length) return;
                const next = frameAt(data, this.at + f.size);
                if (!next || next.rate !== f.rate) {
                    this.at++;
                    continue;
                }
            }
            const told = !this.list.length && isHeaderOnly(data, this.at, f);
            this.format ??= f;
            if (!told) {
                this.list.push({ at: this.at, size: f.size, start: this.samples });
                this.samples += f.samples;
            }
            this.at += f.size;
        }
    }

    finish() {
        this.scan(true);
    }

    /* The bytes of frames [from, to), in a buffer of their own. */
    bytes(from, to) {
        const out = new Uint8Array(this.list.slice(from, to).reduce((n, f) => n + f.size, 0));
        let at = 0;
        for (const f of this.list.slice(from, to)) {
            out.set(this.data.subarray(f.at, f.at + f.size), at);
            at += f.size;
        }
        return out.buffer;
    }

    /* How many frames before `index` a decoder must have seen to give it right: an MP3 frame's data may begin up to 511 bytes
     * back, and every frame overlaps the one before. */
    before(index) {
        let i = index, seen = 0;
        while (i > 0 && (seen < 512 || index - i < 3)) seen += Math.max(this.list[--i].size - 36, 1);
        return Math.max(0, i - 1);
    }
}
