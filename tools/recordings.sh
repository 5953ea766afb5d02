#!/bin/sh
# recordings.sh VOICE.onnx: makes data/question.webm and tests/data/audio/* (their words are in tests/data/audio/words.txt).
# Made with piper-tts 1.8.0 (`pip install piper-tts==1.8.0`, voice en_US-joe-medium), espeak-ng 1.51, FFmpeg 5.1.
# jfk.wav is not made here: 11 s of public domain speech, 16 kHz mono.
set -eu
voice=$1
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p data tests/data/audio
exact='-map_metadata -1 -fflags +bitexact -flags:a +bitexact'

# mix OUT NOISE(colour:level) ENCODER...: $tmp/say.wav at 48 kHz stereo, with noise behind and around it
mix() {
    out=$1 colour=${2%:*} level=${2#*:}
    shift 2
    ffmpeg -v error -y -i "$tmp/say.wav" -f lavfi -i "anoisesrc=c=$colour:r=48000:a=$level:seed=8" -filter_complex \
        "[0:a]aresample=48000,adelay=300,apad=pad_dur=0.4[s];[s][1:a]amix=inputs=2:duration=first:normalize=0,pan=stereo|c0=c0|c1=0.8*c0" \
        $exact "$@" "tests/data/audio/$out"
}
espeak() { # VOICE SPEED TEXT
    espeak-ng -v "$1" -s "$2" -w "$tmp/say.wav" "$3"
}
piper() { # SLOWNESS TEXT
    printf '%s\n' "$2" | python3 -m piper -m "$voice" --length-scale "$1" -f "$tmp/say.wav"
}

piper 1 'Magic eight ball. Should I adopt a dog?'
ffmpeg -v error -y -i "$tmp/say.wav" -af apad=pad_dur=0.3 -ac 1 -c:a libopus -b:a 24k $exact data/question.webm

piper 0.85 'Will I find my lost keys before dinner?'
mix keys.webm pink:0.02 -c:a libopus -b:a 32k
espeak en-us+f3 140 'Will it rain in London tomorrow?'
mix rain.ogg brown:0.05 -c:a libvorbis -q:a 1
espeak en-gb-x-rp 130 'Should I take the early train to work?'
mix train.m4a pink:0.01 -c:a aac -b:a 48k -movflags +faststart
espeak en-us+m3 150 'Will I ever be rich and famous?'
mix rich.mp3 white:0.003 -c:a libmp3lame -b:a 48k
espeak en-gb-scotland 130 'Should we move to Canada?'
mix canada.flac pink:0.002 -c:a flac -compression_level 12 -sample_fmt s16
piper 1.2 'Is today a good day to start something new?'
mix today.wav brown:0.02 -c:a pcm_s16le -ar 16000 -ac 1
# nobody speaks
ffmpeg -v error -y -f lavfi -i "anoisesrc=c=pink:r=48000:a=0.01:seed=9:d=2" -ac 2 -c:a libopus -b:a 24k $exact tests/data/audio/nobody.webm

cat > tests/data/audio/words.txt <<'END'
keys.webm	will i find my lost keys before dinner
rain.ogg	will it rain in london tomorrow
train.m4a	should i take the early train to work
rich.mp3	will i ever be rich and famous
canada.flac	should we move to canada
today.wav	is today a good day to start something new
nobody.webm	
END
