# bash completion for magic8; made by `magic8 docs bash`
_magic8()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options='' words='' files=''
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W 'serve ask listen chat say pull models verify quantize bench --help --version' -- "$word"))
        return
    fi
    case $before in
    --output | -o | --tls-cert | --tls-key | --access-log)
        COMPREPLY=($(compgen -f -- "$word"))
        return
        ;;
    esac
    case ${COMP_WORDS[1]} in
    serve)
        options='--model --speed --speaker --description --play-steps --host --port --auth --auth-message --tls-cert --tls-key --root-path --allow-host --allow-origin --trust-proxy --queue-size --access-log --no-listen --free --language --beam --max-tokens --temperature --top-k --top-p --min-p --f32 --threads --seed --json --verbose --help'
        ;;
    ask)
        options='--model --output --bit-rate --speed --speaker --description --play-steps --free --language --beam --max-tokens --temperature --top-k --top-p --min-p --f32 --threads --seed --json --verbose --help'
        files=yes
        ;;
    listen)
        options='--model --language --prompt --translate --timestamps --words --beam --f32 --threads --seed --json --verbose --help'
        files=yes
        ;;
    chat)
        options='--model --system --max-tokens --temperature --top-k --top-p --min-p --f32 --threads --seed --json --verbose --help'
        ;;
    say)
        options='--model --output --bit-rate --speed --speaker --description --play-steps --max-tokens --temperature --f32 --threads --seed --json --verbose --help'
        ;;
    pull)
        options='--revision --offline --threads --seed --json --verbose --help'
        words='default better seed'
        ;;
    models)
        options='--path --threads --seed --json --verbose --help'
        ;;
    verify)
        options='--model --f32 --type --steps --threads --seed --json --verbose --help'
        files=yes
        ;;
    quantize)
        options='--type --threads --seed --json --verbose --help'
        files=yes
        ;;
    bench)
        options='--model --description --play-steps --max-tokens --prompt-tokens --f32 --against --runs --voices --threads --seed --json --verbose --help'
        words='asr llm tts e2e serve turn'
        ;;
    esac
    case $word in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "$words" ${files:+-f} -- "$word")) ;;
    esac
}
complete -o filenames -F _magic8 magic8
