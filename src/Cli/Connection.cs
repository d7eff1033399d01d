using System.CommandLine;

namespace Sluice.Cli;

/// <summary>The options of all commands: which gateway, which key, which form of output.</summary>
internal sealed class Connection
{
    /// <summary>The URL without the option and the variable.</summary>
    private const string DefaultUrl = "http://127.0.0.1:8080";

    public Option<string?> Url { get; } = new("--url")
    {
        Description = $"URL of the gateway (variable SLUICE_URL; {DefaultUrl})", Recursive = true,
    };

    public Option<string?> KeyFile { get; } = new("--key-file")
    {
        Description = "File with the API key (variables SLUICE_KEY_FILE, or SLUICE_KEY with the key itself)",
        Recursive = true,
    };

    public Option<bool> Json { get; } = new("--json") { Description = "Print JSON", Recursive = true };

    /// <summary>Runs a command: connects, and turns failures into texts and exit codes.</summary>
    public void SetAction(Command command, Func<CommandContext, CancellationToken, Task> run) =>
        SetAction(command, async (context, ct) =>
        {
            await run(context, ct);
            return ExitCodes.Done;
        });

    /// <summary>Runs a command that decides its exit code.</summary>
    public void SetAction(Command command, Func<CommandContext, CancellationToken, Task<int>> run) =>
        command.SetAction(async (parsed, ct) =>
        {
            try
            {
                using var gateway = new GatewayClient(Address(parsed), Key(parsed));
                return await run(new CommandContext(gateway, parsed, parsed.InvocationConfiguration.Output,
                    parsed.GetValue(Json), TimeProvider.System), ct);
            }
            catch (CliException e)
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync(
                    "sluice: " + Output.Terminal.Clean(e.Message, lines: true));
                return e.ExitCode;
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                return ExitCodes.Interrupted;
            }
        });

    private Uri Address(ParseResult parsed)
    {
        var text = parsed.GetValue(Url) ?? Variable("SLUICE_URL") ?? DefaultUrl;
        return Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
            ? url
            : throw new CliException($"the URL of the gateway is '{text}'; expected one like {DefaultUrl}",
                ExitCodes.WrongUsage);
    }

    private string? Key(ParseResult parsed)
    {
        if ((parsed.GetValue(KeyFile) ?? Variable("SLUICE_KEY_FILE")) is not { } path)
            return Variable("SLUICE_KEY")?.Trim();
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CliException($"the file with the key cannot be read: {e.Message}", ExitCodes.WrongUsage);
        }
    }

    private static string? Variable(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
