using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;

namespace Sluice.Testing;

/// <summary>The real worker on a model repository, spoken to over HTTP/2 cleartext as the gateway does.</summary>
public sealed partial class WorkerProcess : IAsyncDisposable
{
    public const string Token = "the-token-of-this-pod";

    private WorkerProcess(ChildProcess process) => Process = process;

    public ChildProcess Process { get; }

    /// <summary>With the pod's token on every request.</summary>
    public HttpClient Client { get; private set; } = null!;

    /// <summary>Starts it and waits until it is ready.</summary>
    public static async Task<WorkerProcess> StartAsync(string repository, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var worker = new WorkerProcess(Launch(repository, environment));
        var listening = await worker.Process.LineAsync("listening on ");
        await worker.Process.LineAsync("ready: ");
        worker.Client = ClientFor(new Uri(Address().Match(listening).Value), Token);
        // As the gateway says of an admin.
        if (environment?.ContainsKey("SLUICE_MODEL_CONTROL") == true) worker.Client.DefaultRequestHeaders.Add("X-Sluice-Admin", "1");
        return worker;
    }

    /// <summary>Starts it without waiting, for those that will not become ready.</summary>
    public static ChildProcess Launch(string repository, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var all = new Dictionary<string, string?> { ["SLUICE_MODEL_REPOSITORY"] = repository, ["SLUICE_POD_TOKEN"] = Token };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>()) all[name] = value;
        return new ChildProcess(Repository.Worker, [], all);
    }

    public static HttpClient ClientFor(Uri address, string? token)
    {
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, MaxResponseDrainSize = 0 })
        {
            BaseAddress = address,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Timeout = ChildProcess.Patience,
        };
        if (token is not null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        await Process.DisposeAsync();
    }

    [GeneratedRegex("http://[0-9.]+:[0-9]+")]
    private static partial Regex Address();
}
