using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Sluice.Testing;

/// <summary>A gateway that a test uses over HTTP, with its folder.</summary>
public abstract class RunningGateway(string folder)
{
    /// <summary>The admin key.</summary>
    public string Key { get; protected set; } = "";

    public Uri Url { get; protected set; } = null!;

    public string Folder => folder;

    public string ManifestPath => Path.Combine(folder, "endpoints.yaml");

    /// <summary>Sends the admin key with every request.</summary>
    public HttpClient Client { get; protected set; } = null!;

    /// <summary>The settings of every gateway of a test.</summary>
    protected Dictionary<string, string?> Settings(IReadOnlyDictionary<string, string?>? more)
    {
        var all = new Dictionary<string, string?>
        {
            ["SLUICE_DATA"] = Path.Combine(folder, "data"),
            ["SLUICE_MANIFEST"] = ManifestPath,
            ["SLUICE_MODEL_REPOSITORY"] = Repository.Models,
            ["SLUICE_URLS"] = "http://127.0.0.1:0",
            // Tests count processes, and the machine has two cores.
            ["SLUICE_STANDBY_WORKERS"] = "0",
            // Tests wait for events by name and fields.
            ["SLUICE_LOG_FORMAT"] = "json",
        };
        foreach (var (name, value) in more ?? new Dictionary<string, string?>()) all[name] = value;
        return all;
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
    /// <param name="name">The name of the metric.</param>
    /// <param name="labels">Parts of the labels, separated by commas.</param>
    /// <param name="path">The page: of the gateway, or of its workers.</param>
    public async Task<double> MetricAsync(string name, string labels = "", string path = "/metrics")
    {
        var text = await Client.GetStringAsync(new Uri(path, UriKind.Relative));
        return text.Split('\n')
            .Where(l => l.StartsWith(name + "{", StringComparison.Ordinal)
                || l.StartsWith(name + " ", StringComparison.Ordinal))
            .Where(l => labels.Split(',').All(part => l.Contains(part, StringComparison.Ordinal)))
            .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    /// <summary>Returns the example request of a sample model.</summary>
    public static string Example(string model) =>
        File.ReadAllText(Path.Combine(Repository.Models, model, "example.json"));
}
