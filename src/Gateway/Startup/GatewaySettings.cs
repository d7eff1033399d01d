using System.Globalization;
using System.Net;
using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;
using Sluice.Gateway.Batches;
using Sluice.Gateway.OpenAi;
using Sluice.Gateway.Responses;
using Sluice.Gateway.Tracing;
using Sluice.Gateway.UserPods;
using Sluice.Hosting;
using Sluice.Storage.Files;
using Sluice.Storage.Responses;

namespace Sluice.Gateway.Startup;

/// <summary>
/// The settings of the gateway, from environment variables; see docs/reference/gateway-environment.md.
/// </summary>
public sealed record GatewaySettings
{
    /// <summary>Minimum length of SLUICE_ADMIN_KEY, in characters. Shorter keys can be guessed.</summary>
    private const int MinAdminKey = 16;

    /// <summary>The most files of a key. A list of files reads all of their records.</summary>
    private const int MostFiles = 1000;

    /// <summary>
    /// Variables that are not gateway settings: other code or a client reads them. README.md asks users to export
    /// SLUICE_KEY.
    /// </summary>
    private static readonly string[] NotSettings = ["SLUICE_KEY", "SLUICE_CRASH_AT"];

    /// <summary>Addresses to listen on, separated by <c>;</c>.</summary>
    public string Urls { get; init; } = "http://127.0.0.1:8080";

    /// <summary>The configured admin key. If null, the gateway creates one at the first start.</summary>
    public string? AdminKey { get; init; }

    /// <summary>The folder with the state of this gateway.</summary>
    public string Data { get; init; } = "data";

    /// <summary>
    /// The Redis address, <c>host:port,password=...</c>. If null, the gateway starts Redis as a child process.
    /// </summary>
    public string? Redis { get; init; }

    /// <summary>
    /// The number of replicas of Redis that have a job before its submission is acknowledged. 0: none.
    /// </summary>
    public int RedisWaitReplicas { get; init; }

    /// <summary>The folder with large job inputs and outputs. All gateways of one Redis share it.</summary>
    public string Payloads { get; init; } = Path.Combine("data", "payloads");

    /// <summary>Private networks that webhooks may reach. TLS is not required for them.</summary>
    public IReadOnlyList<IPNetwork> WebhookAllow { get; init; } = [];

    /// <summary>
    /// Maximum rate of job status requests per API key at one gateway, in requests per second. 0 means no limit.
    /// </summary>
    public int PollRate { get; init; } = 500;

    /// <summary>Maximum memory for request bodies at this gateway, in MiB. 0 means no limit.</summary>
    public int BodyMemory { get; init; } = 512;

    /// <summary>The limits of <c>/v1/files</c>. OpenAI's limit of an input is 200 MB.</summary>
    public FileSettings Files { get; init; } =
        new(200L << 20, new FileLimits(MostFiles, 2048L << 20), TimeSpan.FromDays(30));

    /// <summary>The limits of <c>/v1/responses</c>. They are in the memory of Redis.</summary>
    public ResponseSettings Responses { get; init; } =
        new(TimeSpan.FromDays(1), new ResponseLimits(512 << 10, 64 << 20));

    /// <summary>The limits of <c>/v1/batches</c>. OpenAI's limit of lines is the same.</summary>
    public BatchSettings Batches { get; init; } = new(64, 50_000, TimeSpan.FromDays(30));

    /// <summary>Number of standby workers that this host keeps.</summary>
    public int StandbyWorkers { get; init; } = 1;

    /// <summary>The file with the GPU inventory. If null, the gateway reads the inventory from nvidia-smi.</summary>
    public string? GpuInventory { get; init; }

    /// <summary>The name of this machine in the fleet.</summary>
    public string NodeName { get; init; } = Environment.MachineName;

    /// <summary>The address at which other gateways reach the workers of this machine; null: they do not.</summary>
    public IPAddress? NodeAddress { get; init; }

    /// <summary>The manifest file.</summary>
    public string Manifest { get; init; } = "deploy/endpoints.yaml";

    /// <summary>The folder with a file for each secret of workers; null: there is none.</summary>
    public string? Secrets { get; init; }

    /// <summary>The folder with the models of the built-in worker.</summary>
    public string ModelRepository { get; init; } = "models";

    /// <summary>The store of delivered models, and their sources.</summary>
    public ModelSettings Models { get; init; } = ModelSettings.Read(_ => null, "data");

    /// <summary>The executable of the built-in worker.</summary>
    public string Worker { get; init; } =
        Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "worker", "Sluice.Worker"));

    /// <summary>The settings of the pod host.</summary>
    public HostSettings Host { get; init; } = HostSettings.Read(_ => null);

    /// <summary>How clients reach the ports of pods.</summary>
    public UserPodRouting PodRouting { get; init; } = new(UsesPaths: false, Base: null);

    /// <summary>The templates whose pods may run as processes.</summary>
    public IReadOnlyList<string> ProcessPodTemplates { get; init; } = [];

    /// <summary>Whether the metrics are served without an API key.</summary>
    public bool MetricsPublic { get; init; }

    /// <summary>
    /// The default CORS policy for endpoints that declare none. If null, browsers cannot call from pages of other
    /// origins.
    /// </summary>
    public CorsPolicy? Cors { get; init; }

    /// <summary>Whether each log line is a JSON object.</summary>
    public bool JsonLog { get; init; }

    /// <summary>The minimum level of log messages.</summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Information;

    /// <summary>The export of traces.</summary>
    public TracingSettings Tracing { get; init; } = new();

    /// <summary>The variables of OpenTelemetry that built-in workers get.</summary>
    public IReadOnlyDictionary<string, string> WorkerTelemetry { get; init; } = new Dictionary<string, string>();

    /// <summary>How long the gateway waits at shutdown for requests to finish.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long requests are served after the gateway was asked to stop, before it drains.</summary>
    public TimeSpan ShutdownDelay { get; init; }

    /// <summary>Descriptions of variables that are set but have no effect.</summary>
    public IReadOnlyList<string> Ineffective { get; init; } = [];

    /// <summary>Reads the settings from environment variables.</summary>
    /// <param name="environment">Returns the value of a variable, or null if it is not set.</param>
    /// <param name="names">The names of all variables that are set. Variables that start with SLUICE_ and are not read
    /// are listed in <see cref="Ineffective"/>.</param>
    /// <exception cref="InvalidOperationException">A variable has an invalid value. The message contains name, value
    /// and rule.</exception>
    public static GatewaySettings Read(Func<string, string?> environment, IEnumerable<string>? names = null)
    {
        var defaults = new GatewaySettings();
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
            var other => throw Invalid(name, other, "0 or 1"),
        };
        int? Number(string name, int most) => Text(name) is not { } text ? null
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n <= most ? n
            : throw Invalid(name, text, $"a number from 0 to {most}");
        var (host, standby) = (HostSettings.Read(env), Number("SLUICE_STANDBY_WORKERS", 64));
        var read = new GatewaySettings
        {
            Urls = Text("SLUICE_URLS") is not { } urls ? defaults.Urls : urls.Split(';').All(IsAddress) ? urls
                : throw Invalid("SLUICE_URLS", urls, "addresses like http://127.0.0.1:8080, without a path, separated "
                    + "by ';' (for TLS, use a reverse proxy)"),
            AdminKey = Text("SLUICE_ADMIN_KEY") is not { } key ? null : key.Length >= MinAdminKey ? key
                : throw Invalid("SLUICE_ADMIN_KEY", $"{key.Length} characters long",
                    $"at least {MinAdminKey} characters"),
            Data = Path.GetFullPath(Text("SLUICE_DATA") ?? defaults.Data),
            Redis = Text("SLUICE_REDIS") is { } redis ? RedisAddress.Parse(redis) : null,
            Payloads = Path.GetFullPath(Text("SLUICE_PAYLOADS")
                ?? Path.Combine(Text("SLUICE_DATA") ?? defaults.Data, "payloads")),
            WebhookAllow = ReadNetworks(Text("SLUICE_WEBHOOK_ALLOW") ?? ""),
            GpuInventory = Text("SLUICE_GPU_INVENTORY") is { } inventory ? Path.GetFullPath(inventory) : null,
            Manifest = Path.GetFullPath(Text("SLUICE_MANIFEST") ?? defaults.Manifest),
            Secrets = Text("SLUICE_SECRETS") is { } secrets ? Path.GetFullPath(secrets) : null,
            ModelRepository = Path.GetFullPath(Text("SLUICE_MODEL_REPOSITORY") ?? defaults.ModelRepository),
            Models = ModelSettings.Read(env, Text("SLUICE_DATA") ?? defaults.Data),
            Worker = Path.GetFullPath(Text("SLUICE_WORKER") ?? defaults.Worker),
            Host = host,
            MetricsPublic = Flag("SLUICE_METRICS_PUBLIC"),
            Cors = Text("SLUICE_CORS_ORIGINS") is { } origins
                ? new CorsPolicy { Origins = ReadOrigins(origins) } : null,
            JsonLog = Text("SLUICE_LOG_FORMAT") switch
            {
                null or "text" => false,
                "json" => true,
                var other => throw Invalid("SLUICE_LOG_FORMAT", other, "text or json"),
            },
            LogLevel = Text("SLUICE_LOG_LEVEL") is not { } level ? defaults.LogLevel
                : Enum.TryParse<LogLevel>(level, ignoreCase: true, out var parsed) && !char.IsDigit(level[0]) ? parsed
                : throw Invalid("SLUICE_LOG_LEVEL", level, string.Join(", ", Enum.GetNames<LogLevel>())),
            RedisWaitReplicas = Number("SLUICE_REDIS_WAIT_REPLICAS", 8) ?? defaults.RedisWaitReplicas,
            PollRate = Number("SLUICE_POLL_RATE", 1_000_000) ?? defaults.PollRate,
            BodyMemory = Number("SLUICE_BODY_MEMORY", 1 << 20) ?? defaults.BodyMemory,
            StandbyWorkers = standby ?? defaults.StandbyWorkers,
        };
        read = WithPods(WithResponses(WithFiles(WithTraces(read, environment), Number), Number), Text);
        read = WithShutdown(read, Number);
        return WithNode(read, env) with { Ineffective = DescribeIneffective(host, standby, names ?? [], known) };
    }

    private static GatewaySettings WithNode(GatewaySettings read, Func<string, string?> env) => read with
    {
        NodeName = env("SLUICE_NODE_NAME") is { Length: > 0 } name ? name : read.NodeName,
        NodeAddress = Hosting.NodeAddress.Read(env),
    };

    private static GatewaySettings WithShutdown(GatewaySettings read, Func<string, int, int?> number) => read with
    {
        Drain = number("SLUICE_DRAIN_SECONDS", 604800) is { } s ? TimeSpan.FromSeconds(s) : read.Drain,
        ShutdownDelay = TimeSpan.FromSeconds(number("SLUICE_SHUTDOWN_DELAY_SECONDS", 3600) ?? 0),
    };

    private static GatewaySettings WithTraces(GatewaySettings read, Func<string, string?> env) => read with
    {
        Tracing = TracingSettings.Read(env),
        WorkerTelemetry = TelemetryEnvironment.Read(env),
    };

    private static GatewaySettings WithPods(GatewaySettings read, Func<string, string?> text) => read with
    {
        PodRouting = UserPodRouting.Read(text),
        ProcessPodTemplates = (text("SLUICE_PROCESS_POD_TEMPLATES") ?? "").Split(
            ',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
    };

    private static GatewaySettings WithFiles(GatewaySettings read, Func<string, int, int?> number)
    {
        var keep = number("SLUICE_FILES_KEEP_DAYS", 3650) is { } days ? TimeSpan.FromDays(days) : read.Files.Keep;
        var file = number("SLUICE_FILE_MAX_MIB", 1 << 20) is { } mib ? (long)mib << 20 : read.Files.MaxBytes;
        var all = number("SLUICE_FILES_KEY_MIB", 1 << 24) is { } key ? (long)key << 20 : read.Files.Limits.Bytes;
        var inFlight = number("SLUICE_BATCH_IN_FLIGHT", 10_000) ?? read.Batches.InFlight;
        if (inFlight == 0) throw Invalid("SLUICE_BATCH_IN_FLIGHT", "0", "a number from 1 to 10000");
        return read with
        {
            Files = new FileSettings(file, new FileLimits(MostFiles, all), keep),
            Batches = new BatchSettings(inFlight,
                number("SLUICE_BATCH_MAX_LINES", 1_000_000) ?? read.Batches.MaxLines, keep),
        };
    }

    private static GatewaySettings WithResponses(GatewaySettings read, Func<string, int, int?> number)
    {
        var limits = read.Responses.Limits;
        return read with
        {
            Responses = new ResponseSettings(
                Positive("SLUICE_RESPONSES_KEEP_HOURS", 8760) is { } hours
                    ? TimeSpan.FromHours(hours) : read.Responses.Keep,
                new ResponseLimits(
                    Positive("SLUICE_RESPONSE_MAX_KIB", 16 << 10) is { } kib ? (long)kib << 10 : limits.Bytes,
                    Positive("SLUICE_RESPONSES_KEY_MIB", 1 << 20) is { } mib ? (long)mib << 20 : limits.OwnerBytes)),
        };

        int? Positive(string name, int most) => number(name, most) is 0
            ? throw Invalid(name, "0", $"a number from 1 to {most}") : number(name, most);
    }

    private static List<string> DescribeIneffective(HostSettings host, int? standby, IEnumerable<string> names,
        HashSet<string> known)
    {
        IEnumerable<string> ineffective = host.DescribeUnusedStandby(standby) is { } unused ? [unused] : [];
        var unread = names.Where(n => n.StartsWith("SLUICE_", StringComparison.Ordinal)
            && !n.StartsWith("SLUICE_SECRET_", StringComparison.Ordinal) && !known.Contains(n));
        return [.. ineffective, .. unread.Order(StringComparer.Ordinal).Select(n => DescribeUnread(n, known, host))];
    }

    /// <summary>Describes a variable that the gateway does not read.</summary>
    private static string DescribeUnread(string name, IEnumerable<string> known, HostSettings host)
    {
        if (host.DescribeOtherHosts(name) is { } description) return description;
        var nearest = known.Where(k => k.StartsWith(name, StringComparison.Ordinal)).MinBy(k => k.Length)
            ?? known.MinBy(k => EditDistance.Between(k, name))!;
        var close = EditDistance.Between(nearest, name) <= 3 || nearest.StartsWith(name, StringComparison.Ordinal);
        return $"{name} is not a gateway setting. "
            + (close ? $"Did you mean {nearest}?" : "Set the variables of a worker in the env of its template.");
    }

    private static List<IPNetwork> ReadNetworks(string text) =>
        [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(n => IPNetwork.TryParse(n, out var network) ? network
                : throw Invalid("SLUICE_WEBHOOK_ALLOW", n, "networks like 10.0.0.0/8, separated by ','"))];

    private static List<string> ReadOrigins(string text) =>
        [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(o => CorsPolicy.IsOrigin(o) ? o
                : throw Invalid("SLUICE_CORS_ORIGINS", o, EndpointRules.OriginForm + ", separated by ','"))];

    private static bool IsAddress(string text)
    {
        try
        {
            var address = BindingAddress.Parse(text);
            return address.Scheme.Equals("http", StringComparison.OrdinalIgnoreCase)
                && (address.IsUnixPipe
                    || (address.PathBase.Length == 0 && address.Port is >= 0 and <= ushort.MaxValue));
        }
        catch (FormatException)
        {
            return false;
        }
    }

    private static InvalidOperationException Invalid(string name, string value, string expected) =>
        new($"{name} is '{value}'; expected {expected}.");
}
