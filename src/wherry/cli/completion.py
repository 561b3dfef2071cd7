"""``completion``: the script that makes a shell complete ``wherry``. What it offers is decided in ``complete.py``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed

_BASH = """\
# wherry completion for bash. To use it: source <(wherry completion bash)
_wherry() {
    local IFS=$'\\n'
    COMPREPLY=($(wherry __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null))
    if [[ ${COMPREPLY[0]} == "@files" ]]; then
        COMPREPLY=()
        compopt -o default 2>/dev/null
    elif [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _wherry wherry
"""
_ZSH = """\
#compdef wherry
# wherry completion for zsh. To use it: source <(wherry completion zsh), or save it as _wherry in a folder of $fpath.
_wherry() {
    local -a lines offered
    local line
    lines=("${(@f)$(wherry __complete zsh -- "${(@Q)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ ${lines[1]%%$'\\t'*} == "@files" ]]; then
        _files
        return
    fi
    for line in $lines; do
        [[ -n $line ]] && offered+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    _describe -V 'wherry' offered
}
if [[ ${funcstack[1]} == _wherry ]]; then
    _wherry "$@"
else
    (( $+functions[compdef] )) && compdef _wherry wherry
fi
"""
_FISH = """\
# wherry completion for fish. To use it: wherry completion fish | source
function __wherry_complete
    set -l current (commandline -ct)
    set -l lines (wherry __complete fish -- (commandline -opc) "$current" 2>/dev/null)
    if test (count $lines) -gt 0; and string match -q '@files*' -- $lines[1]
        __fish_complete_path "$current"
    else
        printf '%s\\n' $lines
    end
end
complete -c wherry -f -a '(__wherry_complete)'
"""
SCRIPTS = {"bash": _BASH, "fish": _FISH, "zsh": _ZSH}


def _completion(call: Invocation) -> int:
    script = SCRIPTS.get(call.args[0])
    if script is None:
        raise CommandFailed(f"wherry: no completion for {call.args[0]}; there is one for {', '.join(SCRIPTS)}")
    call.app.out(script.rstrip("\n"))
    return 0


COMPLETION = Command(
    "bash|fish|zsh",
    "Print the completion script of a shell",
    _completion,
    least=1,
    most=1,
    long="Print the completion script of a shell\n\nTo use it now:\n"
    "  source <(wherry completion bash)\n  source <(wherry completion zsh)\n  wherry completion fish | source",
)
