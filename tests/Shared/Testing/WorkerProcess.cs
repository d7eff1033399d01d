using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;

namespace Sluice.Testing;

/// <summary>The real worker on a model repository, used over HTTP/2 cleartext like by the gateway.</summary>
public sealed partial class WorkerProcess : IAsyncDisposable
{
    public const string Token = "the-token-of-this-pod";

    private WorkerProcess(ChildProcess process) => Process = process;

    public ChildProcess Process { get; }

    /// <summary>Sends the pod's token with every request.</summary>
    public HttpClient Client { get; private set; } = null!;

    /// <summary>Starts the worker and waits until it is ready.</summary>
    public static async Task<WorkerProcess> StartAsync(
        string repository,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? program = null)
    {
        var worker = new WorkerProcess(Launch(repository, environment, program));
        var listening = await worker.Process.LineAsync("listening on ");
        await worker.Process.LineAsync("ready: ");
        worker.Client = ClientFor(new Uri(Address().Match(listening).Value), Token);
        // The header that the gateway adds for an admin.
        if (environment?.ContainsKey("SLUICE_MODEL_CONTROL") == true)
            worker.Client.DefaultRequestHeaders.Add("X-Sluice-Admin", "1");
        return worker;
    }

    /// <summary>Starts the worker without waiting, for workers that do not become ready.</summary>
    public static ChildProcess Launch(
        string repository,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? program = null)
    {
        var all = new Dictionary<string, string?>
        {
            ["SLUICE_MODEL_REPOSITORY"] = repository,
            ["SLUICE_POD_TOKEN"] = Token,
            // As every host starts it (ADR 138).
            ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1",
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>()) all[name] = value;
        return new ChildProcess(program ?? Repository.Worker, [], all);
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
        if (token is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
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
