#!/bin/sh
# ask.sh: the program from outside: right questions, wrong ones, damaged input. MAGIC8 is the program.
# Prints "ok NAME", "not ok NAME: why", "skip NAME: why". Sources of expected values: the words in tests/data/audio/words.txt.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
root=$PWD
magic8=${MAGIC8:?}
audio=$root/tests/data/audio question=$root/data/question.webm
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t" || exit 1

ok() { echo "ok $*"; }
no() { name=$1; shift; echo "not ok $name: $(printf '%s' "$*" | tr '\n' ' ' | cut -c 1-300)"; }
has() { "$magic8" help "$1" >/dev/null 2>&1; }
# try ARG...: runs the program with a time limit; $code, and files `out` and `err`
try() {
    timeout 120 "$magic8" "$@" >out 2>err </dev/null
    code=$?
}
# refused NAME CODE ARG...: exit status, exactly one line on standard error, nothing on standard output, no file answer.mp3
refused() {
    name=$1 want=$2
    shift 2
    rm -f answer.mp3
    try "$@"
    if [ "$code" != "$want" ]; then no "$name" "exit status $code, expected $want: $(cat err)"
    elif [ "$(wc -l <err)" != 1 ] || [ "$(wc -c <err)" -lt 10 ]; then no "$name" "not one line on standard error: $(cat err)"
    elif [ -s out ]; then no "$name" "standard output has: $(head -c 100 out)"
    elif [ -e answer.mp3 ] || ls ./*.part >/dev/null 2>&1; then no "$name" "a file was left behind: $(ls)"
    else ok "$name"
    fi
}
seconds() { ffprobe -v error -show_entries format=duration -of csv=p=0 "$1" 2>/dev/null; }
# sounds NAME FILE: decodes to more than half a second of sound that is not silence
sounds() {
    s=$(seconds "$2")
    loud=$(ffmpeg -v info -i "$2" -af volumedetect -f null - 2>&1 | sed -n 's/.*max_volume: \(.*\) dB/\1/p')
    if awk "BEGIN { exit !(${s:-0} > 0.5 && ${loud:--99} > -30) }"; then ok "$1"; else no "$1" "${s:-no} seconds, ${loud:-no} dB"; fi
}
field() { python3 -c 'import json, sys
v = json.loads(sys.stdin.readline())[sys.argv[1]]
print(v if isinstance(v, str) else "")' "$1" 2>/dev/null; }
plain() { tr 'A-Z' 'a-z' | tr -cd 'a-z0-9 \n' | tr -s ' ' | sed 's/^ //; s/ *$//'; }

# ---- what needs no model
try --version
[ "$code" = 0 ] && grep -q '^magic8 [0-9]' out && ok version || no version "$(cat out err)"
try help
[ "$code" = 0 ] && grep -q models out && [ ! -s err ] && ok help || no help "$(cat err)"
refused 'no verb' 2
refused 'unknown verb' 2 nosuchverb
refused 'unknown option' 2 models --nosuchoption
"$magic8" help >/dev/full 2>err
[ $? = 1 ] && [ "$(wc -l <err)" = 1 ] && ok 'help to a full disk' || no 'help to a full disk' "$(cat err)"

if ! has ask; then
    for name in ask listen chat say; do echo "skip $name: the verb is not in this program"; done
    exit 0
fi

# ---- usage, and input that is no question: nothing is fetched, nothing half-written
refused 'ask without a question' 2 ask
refused 'ask two questions' 2 ask a b
refused 'ask with an unknown option' 2 ask --nosuchoption x
refused 'ask with threads that are no number' 2 ask --threads x "$question"
refused 'ask with a negative seed' 2 ask --seed -1 "$question"
refused 'ask, option without its value' 2 ask "$question" -o
refused 'listen without a file' 2 listen
if ! "$magic8" models --path whisper-base smollm2-135m piper-joe >/dev/null 2>&1; then
    echo "skip ask: the default models are not here (magic8 pull default)"
    exit 0
fi
: >empty.webm
printf 'this is no sound, whatever its name says\n' >text.webm
mkdir folder.webm
head -c 1200 "$question" >cut.webm
head -c 60 "$audio/jfk.wav" >cut.wav
head -c 400 "$audio/train.m4a" >cut.m4a
{ head -c 300 "$question"; head -c 8000 /dev/zero | tr '\0' '\377'; } >damaged.webm
printf '#EXTM3U\n/etc/passwd\n' >list.mp3
refused 'missing file' 1 ask none.webm -o answer.mp3
for bad in empty.webm text.webm folder.webm cut.webm cut.wav cut.m4a damaged.webm list.mp3; do
    [ "$bad" != cut.webm ] || continue # it may hold a moment of sound: below
    refused "ask $bad" 1 ask "$bad" -o answer.mp3
done
# a cut recording is refused, or what is left of it is heard; never anything else
rm -f answer.mp3
try ask cut.webm -o answer.mp3
case $code in
0) [ -s out ] && [ -s answer.mp3 ] && ok 'ask cut.webm' || no 'ask cut.webm' 'exit status 0 without an answer' ;;
1) [ "$(wc -l <err)" = 1 ] && [ ! -e answer.mp3 ] && ok 'ask cut.webm' || no 'ask cut.webm' "$(cat err)" ;;
*) no 'ask cut.webm' "exit status $code: $(cat err)" ;;
esac
refused 'ask nobody' 1 ask "$audio/nobody.webm" -o answer.mp3
refused 'no such model' 1 ask "$question" --model asr=/none -o answer.mp3
refused 'a model that is none' 1 ask "$question" --model asr=text.webm -o answer.mp3
refused 'output folder missing' 1 ask "$question" -o nowhere/answer.mp3
refused 'unknown format' 2 ask "$question" -o answer.xyz
timeout 60 "$magic8" say 'It is certain.' -o - >/dev/full 2>err
code=$?
[ "$code" = 1 ] && [ "$(wc -l <err)" = 1 ] && ok 'output on a full disk' || no 'output on a full disk' "exit status $code: $(cat err)"

# ---- the whole job
try ask "$question" --seed 8 -o answer.mp3
if [ "$code" != 0 ]; then no 'ask the sample' "exit status $code: $(cat err)"
else
    ok 'ask the sample'
    plain <out | grep -q 'should i adopt a dog' && ok 'the question is heard' || no 'the question is heard' "$(cat out)"
    [ "$(grep -c . out)" -ge 2 ] && ok 'an answer is printed' || no 'an answer is printed' "$(cat out)"
    sounds 'the answer is spoken' answer.mp3
fi
cp out out8
cp answer.mp3 answer8.mp3 2>/dev/null

# same NAME ARG...: the same words and bytes as above
same() {
    name=$1
    shift
    rm -f answer.mp3
    try ask "$question" --seed 8 -o answer.mp3 "$@"
    if [ "$code" = 0 ] && cmp -s out out8 && cmp -s answer.mp3 answer8.mp3; then ok "$name"
    else no "$name" "exit status $code: $(cat out err) $(cmp answer.mp3 answer8.mp3 2>&1)"
    fi
}
same 'the same seed, the same bytes'
same 'the same with 1 thread' --threads 1
same 'the same with 2 threads' --threads 2
try ask - --seed 8 -o answer.mp3
timeout 120 "$magic8" ask - --seed 8 -o answer.mp3 <"$question" >out 2>err
[ $? = 0 ] && cmp -s out out8 && cmp -s answer.mp3 answer8.mp3 && ok 'from standard input' || no 'from standard input' "$(cat out err)"
timeout 120 "$magic8" ask "$question" --seed 8 -o - >piped.mp3 2>err
[ $? = 0 ] && cmp -s piped.mp3 answer8.mp3 && ok 'to standard output' || no 'to standard output' "$(cat err) $(cmp piped.mp3 answer8.mp3 2>&1)"
refused 'nothing on standard input' 1 ask - -o answer.mp3

try ask 'Should I adopt a dog?' --seed 8
[ "$code" = 0 ] && [ "$(grep -c . out)" -ge 1 ] && ok 'ask in writing' || no 'ask in writing' "$(cat out err)"
try ask 'Should I adopt a dog?' --json --seed 8 -o answer.mp3
[ -n "$(field answer <out)" ] && ok 'ask --json' || no 'ask --json' "$(cat out err)"

answers=$(for seed in 1 2 3 4 5 6; do timeout 60 "$magic8" ask 'Will I be rich?' --json --seed $seed 2>/dev/null </dev/null | field answer; done)
[ "$(printf '%s\n' "$answers" | grep -c .)" = 6 ] && [ "$(printf '%s\n' "$answers" | sort -u | wc -l)" -ge 2 ] &&
    ok 'seeds vary the answer' || no 'seeds vary the answer' "$answers"

for format in wav ogg aac mp3; do
    try say 'Reply hazy, try again.' -o "say.$format" --seed 8
    if [ "$code" = 0 ]; then sounds "say to $format" "say.$format"; else no "say to $format" "$(cat err)"; fi
done

# ---- a reader that goes away: quiet, quick, and no file beside
timeout 60 "$magic8" ask "$question" -o - 2>err | head -c 100 >/dev/null
! grep -q '^magic8' err && ok 'closed pipe, ask' || no 'closed pipe, ask' "$(cat err)"
timeout 60 "$magic8" say 'It is certain. Without a doubt. You may rely on it.' -o - 2>err | head -c 100 >/dev/null
[ ! -s err ] && ok 'closed pipe, say' || no 'closed pipe, say' "$(cat err)"
timeout 60 "$magic8" listen "$audio/jfk.wav" 2>err | head -c 1 >/dev/null
[ ! -s err ] && ok 'closed pipe, listen' || no 'closed pipe, listen' "$(cat err)"

# ---- stopped on the way: no half file stays
rm -f answer.mp3
timeout -s INT 0.3 "$magic8" ask "$question" -o answer.mp3 >out 2>err </dev/null
ls ./*.part >/dev/null 2>&1 && no 'interrupted' "left behind: $(ls)" || ok 'interrupted'

# ---- recordings: other voices, noise, stereo, five formats. A word in four may be wrong in one of them, one in ten in all
# (the small model mishears; a broken engine hears nothing like it)
while IFS='	' read -r file words; do
    [ -n "$words" ] || continue
    try listen "$audio/$file"
    printf '%s\t%s\t%s\n' "$file" "$words" "$([ "$code" = 0 ] && tr "\n" " " <out | plain)"
done <"$audio/words.txt" >heard
python3 "$root/tests/e2e/words.py" heard
try listen "$audio/jfk.wav"
plain <out | tr -d '\n' | grep -q 'ask not what your country can do for you' && ok 'listen jfk.wav' || no 'listen jfk.wav' "$(cat out err)"
try chat 'Why is the sky blue?' --max-tokens 20 --seed 8
[ "$code" = 0 ] && [ -s out ] && ok chat || no chat "$(cat err)"
