using System.Text.RegularExpressions;

namespace Sluice.Testing;

/// <summary>The real gateway as `make run` starts it, with its own Redis process, folder and port.</summary>
public sealed partial class GatewayProcess : RunningGateway, IAsyncDisposable
{
    private readonly bool ownsFolder;

    private GatewayProcess(string folder, bool ownsFolder, IReadOnlyList<string> command,
        IReadOnlyDictionary<string, string?>? environment)
        : base(folder)
    {
        this.ownsFolder = ownsFolder;
        Process = new ChildProcess(command[0], [.. command.Skip(1)], Settings(environment));
    }

    public ChildProcess Process { get; }

    /// <summary>The log entries so far.</summary>
    public IEnumerable<LogEvent> Events => Process.Output.Split('\n').Select(LogEvent.Parse).OfType<LogEvent>();

    /// <summary>Waits for the first log entry after the mark with this event name and these fields.</summary>
    /// <param name="name">The event name.</param>
    /// <param name="after">A mark: <see cref="ChildProcess.Mark"/>.</param>
    /// <param name="fields">Names and values of fields.</param>
    public Task<LogEvent> EventAsync(string name, int after = 0, params (string Name, string Value)[] fields) =>
        EventAsync(e => e.Is(name, fields), name, after);

    /// <summary>Waits for the first log entry after the mark that fits.</summary>
    public async Task<LogEvent> EventAsync(Func<LogEvent, bool> fits, string what, int after = 0)
    {
        var line = await Process.LineAsync(l => LogEvent.Parse(l) is { } e && fits(e), $"the event {what}", after);
        return LogEvent.Parse(line)!;
    }

    /// <summary>
    /// Starts the gateway (with a wrapper command, if one is given) and waits until it listens. With a folder, it is
    /// another start on the data of an earlier one. With a program, it is the gateway of another published build.
    /// </summary>
    public static async Task<GatewayProcess> StartAsync(
        string? manifest = null,
        string? folder = null,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? key = null,
        IReadOnlyList<string>? wrapper = null,
        string? program = null)
    {
        var own = folder is null;
        folder ??= Directory.CreateTempSubdirectory("sluice-gateway-").FullName;
        if (manifest is not null) await File.WriteAllTextAsync(Path.Combine(folder, "endpoints.yaml"), manifest);
        string[] command = [.. wrapper ?? [], program ?? Repository.Gateway];
        var gateway = new GatewayProcess(folder, own, command, environment);
        var listens = await gateway.Process.LineAsync("Sluice listens on ");
        gateway.Url = new Uri(Address().Match(listens).Value);
        await gateway.Process.LineAsync(EndsBanner, "the end of the startup banner");
        gateway.Key = key ?? environment?.GetValueOrDefault("SLUICE_ADMIN_KEY")
            ?? KeyText().Match(gateway.Process.Output).Value;
        gateway.Client = gateway.ClientFor(gateway.Key);
        return gateway;
    }

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        await Process.DisposeAsync();
        if (ownsFolder) Directory.Delete(Folder, recursive: true);
    }

    /// <summary>
    /// Recognizes the last part of the startup banner. The third text is that of older builds, which load tests
    /// compare with.
    /// </summary>
    private static bool EndsBanner(string line) =>
        line.StartsWith("Try it", StringComparison.Ordinal)
        || line.StartsWith("No example commands", StringComparison.Ordinal)
        || line.StartsWith("Nothing to try", StringComparison.Ordinal);

    [GeneratedRegex("http://127.0.0.1:[0-9]+")]
    private static partial Regex Address();

    [GeneratedRegex("slk_[a-z0-9]{10}_[A-Za-z0-9]{49}")]
    private static partial Regex KeyText();
}
