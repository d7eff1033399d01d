using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Sluice.Testing;

/// <summary>The real gateway as `make run` starts it, with its own Redis process, folder and port.</summary>
public sealed partial class GatewayProcess : IAsyncDisposable
{
    private readonly string folder;
    private readonly bool ownsFolder;
    private readonly ChildProcess process;

    private GatewayProcess(ChildProcess process, string folder, bool ownsFolder)
    {
        (this.process, this.folder, this.ownsFolder) = (process, folder, ownsFolder);
    }

    /// <summary>The admin key that this start printed or was given; empty if neither.</summary>
    public string Key { get; private set; } = "";

    public Uri Url { get; private set; } = null!;

    public ChildProcess Process => process;

    public string Folder => folder;

    public string ManifestPath => Path.Combine(folder, "endpoints.yaml");

    /// <summary>Sends the admin key with every request.</summary>
    public HttpClient Client { get; private set; } = null!;

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
        var all = new Dictionary<string, string?>
        {
            ["SLUICE_DATA"] = Path.Combine(folder, "data"),
            ["SLUICE_MANIFEST"] = Path.Combine(folder, "endpoints.yaml"),
            ["SLUICE_MODEL_REPOSITORY"] = Repository.Models,
            ["SLUICE_URLS"] = "http://127.0.0.1:0",
            // Tests count processes, and the machine has two cores.
            ["SLUICE_STANDBY_WORKERS"] = "0",
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>()) all[name] = value;
        string[] command = [.. wrapper ?? [], program ?? Repository.Gateway];
        var gateway = new GatewayProcess(new ChildProcess(command[0], command[1..], all), folder, own);
        var listens = await gateway.process.LineAsync("Sluice listens on ");
        gateway.Url = new Uri(Address().Match(listens).Value);
        await gateway.process.LineAsync(EndsBanner, "the end of the startup banner");
        gateway.Key = key ?? all.GetValueOrDefault("SLUICE_ADMIN_KEY") ?? KeyText().Match(gateway.process.Output).Value;
        gateway.Client = gateway.ClientFor(gateway.Key);
        return gateway;
    }

    /// <summary>Returns a client with another key, or without one.</summary>
    public HttpClient ClientFor(string? key)
    {
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, MaxResponseDrainSize = 0 })
        {
            BaseAddress = Url,
            Timeout = ChildProcess.Patience,
        };
        if (key is { Length: > 0 })
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }

    public async Task<JsonObject> GetAsync(string path) =>
        (await Client.GetFromJsonAsync<JsonObject>(new Uri(path, UriKind.Relative)))!;

    /// <summary>Returns the endpoint's workers in a state, from the API.</summary>
    public async Task<IReadOnlyList<JsonObject>> WorkersAsync(string endpoint, string? state = null)
    {
        var answer = await GetAsync($"/api/v1/endpoints/{endpoint}/workers");
        var workers = answer["workers"]!.AsArray().Select(w => w!.AsObject());
        return [.. workers.Where(w => state is null || (string)w["state"]! == state)];
    }

    /// <summary>Waits until the API's answer at a path meets a condition.</summary>
    public Task<JsonObject> UntilAsync(string path, Func<JsonObject, bool> holds) =>
        Eventually.BecomesAsync(() => GetAsync(path), holds, path);

    /// <summary>Returns a metric's value, summed over its label sets; zero if the metric does not exist.</summary>
    public async Task<double> MetricAsync(string name, string labels = "")
    {
        var text = await Client.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        return text.Split('\n')
            .Where(l => l.StartsWith(name + "{", StringComparison.Ordinal)
                || l.StartsWith(name + " ", StringComparison.Ordinal))
            .Where(l => labels.Split(',').All(part => l.Contains(part, StringComparison.Ordinal)))
            .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    /// <summary>Returns the example request of a sample model.</summary>
    public static string Example(string model) =>
        File.ReadAllText(Path.Combine(Repository.Models, model, "example.json"));

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        await process.DisposeAsync();
        if (ownsFolder) Directory.Delete(folder, recursive: true);
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
