/* Is somebody speaking? By loudness alone: frames of 20 ms against a floor that follows the noise of the place.
 *
 *   quiet --louder than the floor by `on` for 60 ms--> speaking --softer than floor + `off` for `pauseMs`--> "pause"
 *     ^                                                                 |      ^----- "resume": speaks on
 *     +------------------ "end": softer for `endMs` --------------------+------+
 *
 * The floor is the softest moment of the last 2 s (minimum statistics, Martin 2001, without its bias correction): speech of any length has
 * dips in it, a fan that begins to blow has none and so is the floor 2 s later. All levels are dB below full scale. */
const FRAME_S = 0.02, BLOCK = 12, BLOCKS = 8; /* 8 x 240 ms */
const SILENCE = -70;                          /* what is softer, or nothing at all, counts as this */
const FIRST_FLOOR = -45;                      /* most that is believed before there was a dip to learn from */

export class Vad {
    constructor({ rate, on = 10, off = 6, least = -50, pauseMs = 200, endMs = 900 }) {
        Object.assign(this, { on, off, least, pauseMs, endMs, extra: 0 });
        this.size = Math.round(rate * FRAME_S);
        this.blocks = [];
        this.block = 0; /* the softest of this block, so far */
        this.inBlock = 0;
        this.recent = [];
        this.rest = { n: 0, sum: 0 };
        this.frames = 0;
        this.level = SILENCE;
        this.begin();
    }

    /* A new question, in the same place: what is known of the noise is kept. */
    begin() {
        this.speaking = this.paused = false;
        this.loud = this.soft = 0;
        this.peak = SILENCE;
        this.speechMs = 0; /* heard so far, pauses left out */
    }

    get floor() {
        const all = this.inBlock ? [...this.blocks, this.block] : this.blocks;
        const least = all.length ? Math.min(...all) : FIRST_FLOOR;
        return this.blocks.length < 3 ? Math.min(least, FIRST_FLOOR) : least;
    }

    /* samples: a Float32Array of any length -> what happened in it, in order: "start", "pause", "resume", "end". */
    push(samples) {
        const news = [], r = this.rest;
        for (const x of samples) {
            r.sum += x * x;
            if (++r.n < this.size) continue;
            const what = this.frame(Math.max(SILENCE, 10 * Math.log10(r.sum / r.n + 1e-12)));
            if (what) news.push(what);
            r.n = r.sum = 0;
        }
        return news;
    }

    learn(db) {
        this.recent.push(db);
        if (this.recent.length > 3) this.recent.shift();
        const smooth = this.recent.reduce((a, b) => a + b) / this.recent.length;
        this.block = this.inBlock ? Math.min(this.block, smooth) : smooth;
        if (++this.inBlock < BLOCK) return;
        this.blocks.push(this.block);
        if (this.blocks.length > BLOCKS) this.blocks.shift();
        this.inBlock = 0;
    }

    frame(db) {
        this.level = db;
        this.frames++;
        this.learn(db);
        const ms = FRAME_S * 1000, floor = this.floor;
        if (!this.speaking) {
            const loud = db > Math.max(floor + this.on, this.least) + this.extra;
            this.loud = loud ? this.loud + 1 : Math.max(0, this.loud - 2);
            if (this.loud * ms < (this.extra ? 160 : 60)) return null;
            this.speaking = true;
            this.paused = false;
            this.soft = 0;
            this.speechMs = this.loud * ms;
            return "start";
        }
        this.peak = Math.max(db, this.peak - 0.1); /* 5 dB a second */
        if (db > Math.max(floor + this.off, this.least - 4, this.peak - 30)) {
            this.loud++;
            this.speechMs += ms;
            if (this.paused && this.loud * ms < 60) return null; /* a click is no word */
            this.soft = 0;
            if (!this.paused) return null;
            this.paused = false;
            return "resume";
        }
        this.loud = 0;
        this.soft += 1;
        if (this.soft * ms >= this.endMs) {
            this.begin();
            return "end";
        }
        if (this.paused || this.soft * ms < this.pauseMs) return null;
        this.paused = true;
        return "pause";
    }
}
