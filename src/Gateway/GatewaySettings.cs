using System.Globalization;
using System.Net;
using Sluice.Core.Endpoints;

namespace Sluice.Gateway;

/// <summary>What the gateway is told by its environment; see the README's table.</summary>
public sealed record GatewaySettings
{
    /// <summary>Shortest admin key that may be given: shorter ones can be guessed.</summary>
    private const int MinAdminKey = 16;

    /// <summary>Variables that are read elsewhere, or by a client: the README has people export SLUICE_KEY.</summary>
    private static readonly string[] NotSettings = ["SLUICE_KEY", "SLUICE_CRASH_AT"];

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

    /// <summary>MiB of memory for the bodies of requests at this gateway; 0: no limit.</summary>
    public int BodyMemory { get; init; } = 512;

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

    /// <summary>Which pages of other origins may call from a browser, where an endpoint does not say so itself; null: none.</summary>
    public CorsPolicy? Cors { get; init; }

    /// <summary>Log lines as JSON, one object each.</summary>
    public bool JsonLog { get; init; }

    public LogLevel LogLevel { get; init; } = LogLevel.Information;

    /// <summary>How long a stopping gateway lets requests finish.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>What is set and has no effect.</summary>
    public IReadOnlyList<string> Vain { get; init; } = [];

    /// <summary>Reads the environment; throws with name, value and what is expected.</summary>
    /// <param name="environment">A variable's value by its name; null: not set.</param>
    /// <param name="names">The variables that are set; those that begin with SLUICE_ and that nothing reads are reported as without effect.</param>
    public static GatewaySettings Read(Func<string, string?> environment, IEnumerable<string>? names = null)
    {
        var d = new GatewaySettings();
        var known = new HashSet<string>(NotSettings);
        string? env(string name)
        {
            known.Add(name);
            return environment(name);
        }

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
        var read = new GatewaySettings
        {
            Urls = Text("SLUICE_URLS") is not { } urls ? d.Urls : urls.Split(';').All(IsAddress) ? urls
                : throw Wrong("SLUICE_URLS", urls, "addresses like http://127.0.0.1:8080, without a path, separated by ';' (for TLS, put a proxy in front)"),
            AdminKey = Text("SLUICE_ADMIN_KEY") is not { } key ? null : key.Length >= MinAdminKey ? key
                : throw Wrong("SLUICE_ADMIN_KEY", $"{key.Length} characters long", $"at least {MinAdminKey}"),
            Data = Path.GetFullPath(Text("SLUICE_DATA") ?? d.Data),
            Redis = Text("SLUICE_REDIS") is { } redis ? RedisAddress.Parse(redis) : null,
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
            Cors = Text("SLUICE_CORS_ORIGINS") is { } origins ? new CorsPolicy { Origins = ReadOrigins(origins) } : null,
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
            BodyMemory = Number("SLUICE_BODY_MEMORY", 1 << 20) ?? d.BodyMemory,
            StandbyWorkers = standby ?? d.StandbyWorkers,
        };
        IEnumerable<string> vain = host.Docker is null || standby is null or 0 ? []
            : [$"SLUICE_STANDBY_WORKERS is {standby}, and SLUICE_POD_HOST is docker, which keeps none: standby workers are processes"];
        return read with
        {
            Vain = [.. vain, .. (names ?? []).Where(n => n.StartsWith("SLUICE_", StringComparison.Ordinal) && !known.Contains(n)).Order(StringComparer.Ordinal)
                .Select(n => Unread(n, known, host))],
        };
    }

    /// <summary>What to say of a variable that nothing reads.</summary>
    private static string Unread(string name, IEnumerable<string> known, HostSettings host)
    {
        if (host.Docker is null && name.StartsWith("SLUICE_DOCKER_", StringComparison.Ordinal)) return $"{name} is read only where SLUICE_POD_HOST is docker";
        var nearest = known.MinBy(k => EditDistance.Between(k, name))!;
        var close = EditDistance.Between(nearest, name) <= 3 || nearest.StartsWith(name, StringComparison.Ordinal);
        return $"{name} is no setting of the gateway" + (close ? $"; did you mean {nearest}?" : "; a worker's variables belong in its template's env");
    }

    private static List<string> ReadOrigins(string text) =>
        [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(o => CorsPolicy.IsOrigin(o) ? o : throw Wrong("SLUICE_CORS_ORIGINS", o, EndpointRules.OriginForm + ", separated by ','"))];

    private static bool IsAddress(string text)
    {
        try
        {
            var address = BindingAddress.Parse(text);
            return address.Scheme.Equals("http", StringComparison.OrdinalIgnoreCase)
                && (address.IsUnixPipe || (address.PathBase.Length == 0 && address.Port is >= 0 and <= ushort.MaxValue));
        }
        catch (FormatException)
        {
            return false;
        }
    }

    private static InvalidOperationException Wrong(string name, string value, string expected) =>
        new($"{name} is '{value}', expected {expected}");
}
