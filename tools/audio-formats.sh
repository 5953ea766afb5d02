#!/bin/sh
# Makes tests/data/audio-formats from a 16 kHz recording of speech, with the ffmpeg tool (made with 5.1.9, Debian 12):
#     tools/audio-formats.sh speech.wav
# Beside each NAME lies NAME.f32: 1,000 samples from sample 3,000 on, as ffmpeg itself decodes the file (channels averaged,
# native rate), and in lengths.txt how many samples ffmpeg decodes.
set -e
in=$1
out=$(dirname "$0")/../tests/data/audio-formats
cd "$out"
rm -f ./*
ff() { ffmpeg -nostdin -hide_banner -loglevel error -y -fflags +bitexact "$@"; }
mono="-ss 0.3 -t 1.3 -i $in -map_metadata -1 -flags:a +bitexact"
# two channels that differ, so that averaging shows
stereo="$mono -af pan=stereo|c0=c0|c1=0.5*c0"
# as a browser's MediaRecorder writes them: to a pipe, so no length, no duration, no index
ff $mono -c:a libopus -b:a 24k -ar 48000 -f webm -live 1 - > recorder.webm
ff $mono -c:a aac -b:a 32k -ar 48000 -f mp4 -movflags frag_keyframe+empty_moov+default_base_moof - > recorder.mp4
ff $stereo -c:a libopus -b:a 32k -ar 48000 -page_duration 200000 stereo-opus.ogg
ff $mono -c:a libvorbis -q:a 0 -ar 44100 vorbis.ogg
ff $mono -c:a libvorbis -q:a 0 -ar 22050 vorbis.webm
ff $stereo -c:a libmp3lame -b:a 48k -ar 44100 -metadata title=x -id3v2_version 3 tagged.mp3
ff $mono -c:a libmp3lame -b:a 16k -ar 16000 -write_xing 0 -id3v2_version 0 bare.mp3
ff $mono -c:a aac -b:a 32k -ar 44100 moov-last.m4a
ff -f lavfi -i testsrc=s=32x32:r=5 $mono -c:v mpeg4 -c:a aac -b:a 24k -ar 22050 -shortest phone.mp4
ff $mono -t 0.6 -c:a flac -ar 8000 speech.flac
ff $mono -t 0.5 -c:a pcm_s16le -ar 8000 s16.wav
ff $mono -t 0.5 -c:a pcm_alaw -ar 8000 alaw.wav
ff $stereo -t 0.5 -c:a pcm_s24le -ar 8000 s24-stereo.wav
for f in *; do
    case $f in stereo-* | tagged.* | *-stereo.*) pan='pan=mono|c0=0.5*c0+0.5*c1' ;; *) pan=anull ;; esac
    ff -i "$f" -vn -af "$pan" -c:a pcm_f32le -f f32le all.raw
    rate=$(ffprobe -loglevel error -select_streams a -show_entries stream=sample_rate -of csv=p=0 "$f")
    echo "$f $rate $(($(wc -c < all.raw) / 4))" >> lengths
    tail -c +12001 all.raw | head -c 4000 > "$f.f32"
    rm all.raw
done
mv lengths lengths.txt
# must be refused: codecs and containers that are not on the list
ff $mono -t 0.3 -c:a alac -ar 8000 alac.m4a
ff $mono -t 0.3 -c:a adpcm_ima_wav -ar 8000 adpcm.wav
ff -f lavfi -i testsrc=s=32x32:r=5:d=0.4 -c:v mpeg4 silent.mp4
ff $mono -t 0.3 -c:a pcm_s16be -ar 8000 speech.aiff
# an hour of nothing in a few bytes
ff -f lavfi -i anullsrc=r=48000:cl=mono -t 3600 -c:a libopus -b:a 500 -frame_duration 120 -f webm - 2>/dev/null | head -c 12000 > hour.webm
