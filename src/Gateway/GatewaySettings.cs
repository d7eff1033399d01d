using System.Globalization;
using System.Net;

namespace Sluice.Gateway;

/// <summary>What the gateway is told by its environment; see the README's table.</summary>
public sealed record GatewaySettings
{
    /// <summary>Shortest admin key that may be given: shorter ones can be guessed.</summary>
    private const int MinAdminKey = 16;

    /// <summary>Addresses to listen on, separated by <c>;</c>.</summary>
    public string Urls { get; init; } = "http://127.0.0.1:8080";

    /// <summary>Given admin key; null: one is made at the first start.</summary>
    public string? AdminKey { get; init; }

    /// <summary>Folder with this gateway's state.</summary>
    public string Data { get; init; } = "data";

    /// <summary>Redis, <c>host:port,password=...</c>; null: a child of this process.</summary>
    public string? Redis { get; init; }

    /// <summary>Folder with large inputs and outputs of jobs, shared by all gateways on one Redis.</summary>
    public string Payloads { get; init; } = Path.Combine("data", "payloads");

    /// <summary>Networks that webhooks may reach although they are private, also without TLS.</summary>
    public IReadOnlyList<IPNetwork> WebhookAllow { get; init; } = [];

    /// <summary>Questions about jobs that a key may ask a second, at one gateway; 0: no limit.</summary>
    public int PollRate { get; init; } = 500;

    /// <summary>Standby workers that this host keeps.</summary>
    public int StandbyWorkers { get; init; } = 1;

    /// <summary>File with an inventory of GPUs; null: nvidia-smi is asked.</summary>
    public string? GpuInventory { get; init; }

    /// <summary>Manifest file.</summary>
    public string Manifest { get; init; } = "deploy/endpoints.yaml";

    /// <summary>Folder with the built-in worker's models.</summary>
    public string ModelRepository { get; init; } = "models";

    /// <summary>The built-in worker's program.</summary>
    public string Worker { get; init; } = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "worker", "Sluice.Worker"));

    /// <summary>What runs pods.</summary>
    public HostSettings Host { get; init; } = new();

    /// <summary>Metrics without a key.</summary>
    public bool MetricsPublic { get; init; }

    /// <summary>Log lines as JSON, one object each.</summary>
    public bool JsonLog { get; init; }

    public LogLevel LogLevel { get; init; } = LogLevel.Information;

    /// <summary>How long a stopping gateway lets requests finish.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>What is set and has no effect.</summary>
    public IReadOnlyList<string> Vain { get; init; } = [];

    /// <summary>Reads the environment; throws with name, value and what is expected.</summary>
    public static GatewaySettings Read(Func<string, string?> env)
    {
        var d = new GatewaySettings();
        string? Text(string name) => env(name) is { Length: > 0 } text ? text : null;
        bool Flag(string name) => Text(name) switch
        {
            null or "0" => false,
            "1" => true,
            var other => throw Wrong(name, other, "0 or 1"),
        };
        int? Number(string name, int most) => Text(name) is not { } text ? null
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n <= most ? n
            : throw Wrong(name, text, $"a number from 0 to {most}");
        var (host, standby) = (HostSettings.Read(env), Number("SLUICE_STANDBY_WORKERS", 64));
        return new GatewaySettings
        {
            Urls = Text("SLUICE_URLS") is not { } urls ? d.Urls : urls.Split(';').All(IsAddress) ? urls
                : throw Wrong("SLUICE_URLS", urls, "addresses like http://127.0.0.1:8080, separated by ';' (TLS is a proxy's in front)"),
            AdminKey = Text("SLUICE_ADMIN_KEY") is not { } key ? null : key.Length >= MinAdminKey ? key
                : throw Wrong("SLUICE_ADMIN_KEY", $"{key.Length} characters long", $"at least {MinAdminKey}"),
            Data = Path.GetFullPath(Text("SLUICE_DATA") ?? d.Data),
            Redis = Text("SLUICE_REDIS"),
            Payloads = Path.GetFullPath(Text("SLUICE_PAYLOADS") ?? Path.Combine(Text("SLUICE_DATA") ?? d.Data, "payloads")),
            WebhookAllow = [.. (Text("SLUICE_WEBHOOK_ALLOW") ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Select(n => IPNetwork.TryParse(n, out var network) ? network
                    : throw Wrong("SLUICE_WEBHOOK_ALLOW", n, "networks like 10.0.0.0/8, separated by ','"))],
            GpuInventory = Text("SLUICE_GPU_INVENTORY") is { } inventory ? Path.GetFullPath(inventory) : null,
            Manifest = Path.GetFullPath(Text("SLUICE_MANIFEST") ?? d.Manifest),
            ModelRepository = Path.GetFullPath(Text("SLUICE_MODEL_REPOSITORY") ?? d.ModelRepository),
            Worker = Path.GetFullPath(Text("SLUICE_WORKER") ?? d.Worker),
            Host = host,
            MetricsPublic = Flag("SLUICE_METRICS_PUBLIC"),
            JsonLog = Text("SLUICE_LOG_FORMAT") switch
            {
                null or "text" => false,
                "json" => true,
                var other => throw Wrong("SLUICE_LOG_FORMAT", other, "text or json"),
            },
            LogLevel = Text("SLUICE_LOG_LEVEL") is not { } level ? d.LogLevel
                : Enum.TryParse<LogLevel>(level, ignoreCase: true, out var parsed) && !char.IsDigit(level[0]) ? parsed
                : throw Wrong("SLUICE_LOG_LEVEL", level, string.Join(", ", Enum.GetNames<LogLevel>())),
            Drain = Number("SLUICE_DRAIN_SECONDS", 604800) is { } seconds ? TimeSpan.FromSeconds(seconds) : d.Drain,
            PollRate = Number("SLUICE_POLL_RATE", 1_000_000) ?? d.PollRate,
            StandbyWorkers = standby ?? d.StandbyWorkers,
            Vain = host.Docker is null || standby is null or 0 ? []
                : [$"SLUICE_STANDBY_WORKERS is {standby}, and SLUICE_POD_HOST is docker, which keeps none: standby workers are processes"],
        };
    }

    private static bool IsAddress(string text)
    {
        try
        {
            return BindingAddress.Parse(text).Scheme.Equals("http", StringComparison.OrdinalIgnoreCase);
        }
        catch (FormatException)
        {
            return false;
        }
    }

    private static InvalidOperationException Wrong(string name, string value, string expected) =>
        new($"{name} is '{value}', expected {expected}");
}
