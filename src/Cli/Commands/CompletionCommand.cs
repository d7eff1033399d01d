using System.CommandLine;

namespace Sluice.Cli.Commands;

/// <summary><c>sluice completion SHELL</c>: the script that completes arguments in a shell.</summary>
internal static class CompletionCommand
{
    // The directive [suggest:POSITION] of System.CommandLine prints the completions of a line.
    private const string Bash = """
        _sluice() {
            local IFS=$'\n'
            COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)" \
                -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -F _sluice sluice
        """;

    private const string Zsh = """
        _sluice() {
            local completions=("${(@f)$("${words[1]}" "[suggest:$CURSOR]" "$BUFFER" 2>/dev/null)}")
            compadd -a completions
        }
        compdef _sluice sluice
        """;

    private const string Fish = """
        function __sluice
            set -l line (commandline -cp)
            sluice "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -f -c sluice -a '(__sluice)'
        """;

    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or fish" };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion", "Print the script that completes arguments in a shell") { shell };
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(
            parsed.GetValue(shell) switch { "zsh" => Zsh, "fish" => Fish, _ => Bash }));
        return command;
    }
}
