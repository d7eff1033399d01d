using System.Net.Http.Json;
using Sluice.Testing;
using Sluice.Testing.Llama;

namespace Sluice.Scenarios.Generation;

/// <summary>The servers of the comparison, all with the same model, and the bare loop in this process.</summary>
internal sealed class GenerationPeers : IAsyncDisposable
{
    private const string ModelName = "random";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-generation-").FullName;
    private readonly LlamaShape shape;
    private readonly List<ChildProcess> processes = [];
    private readonly List<HttpClient> clients = [];
    private HttpClient? genAi;

    public GenerationPeers(LlamaShape shape) => this.shape = shape;

    /// <summary>The decode loop in this process.</summary>
    public BareLoop Bare { get; private set; } = null!;

    /// <summary>The worker of this build.</summary>
    public TokenStreams Worker { get; private set; } = null!;

    /// <summary>llama.cpp.</summary>
    public TokenStreams LlamaCpp { get; private set; } = null!;

    /// <summary>Client of the worker, for its metrics.</summary>
    public HttpClient WorkerClient { get; private set; } = null!;

    private string ModelFolder => Path.Combine(folder, ModelName, "1");

    /// <summary>Writes the model and starts the worker.</summary>
    public async Task StartWorkerAsync()
    {
        Directory.CreateDirectory(ModelFolder);
        LlamaOnnx.Write(new LlamaWeights(shape), ModelFolder);
        var port = WorkerRequests.FreePort();
        var environment = new Dictionary<string, string?>
        {
            ["SLUICE_HTTP1_PORT"] = $"{port}",
            ["SLUICE_MODEL_CACHE"] = "",
        };
        var worker = WorkerProcess.Launch(folder, environment);
        processes.Add(worker);
        await worker.LineAsync("ready: ");
        WorkerClient = WorkerRequests.Client(port);
        WorkerClient.Timeout = Timeout.InfiniteTimeSpan;
        clients.Add(WorkerClient);
        Worker = new TokenStreams(WorkerClient, ModelName);
    }

    /// <summary>Starts the others, after the worker.</summary>
    /// <param name="sequences">Maximum number of concurrent streams.</param>
    /// <param name="context">Number of tokens of a stream.</param>
    public async Task StartPeersAsync(int sequences, int context)
    {
        var threads = Environment.ProcessorCount;
        Bare = new BareLoop(shape, Path.Combine(ModelFolder, "model.onnx"), threads);
        var gguf = Path.Combine(folder, "random.gguf");
        LlamaGguf.Write(new LlamaWeights(shape), gguf);
        var peers = Path.Combine(Repository.Root, "loadtests", "Peers");
        var server = Path.Combine(peers, "llama-cpp", "server.mjs");
        LlamaCpp = new TokenStreams(await StartAsync("/usr/bin/env",
            port => ["node", server, port, gguf, $"{sequences}", $"{context}", $"{threads}"]), ModelName);
        var genAiProgram = Path.Combine(peers, "GenAi", "bin", "Release", "net10.0", "Sluice.GenAi");
        genAi = await StartAsync(genAiProgram, port => [port, ModelFolder]);
    }

    /// <summary>Generates texts with GenAI, as one batch. Returns null if it answers with an error.</summary>
    public async Task<GenAiResult?> RunGenAiAsync(int[][] prompts, int count, CancellationToken ct)
    {
        var request = new { Prompts = prompts, MaxTokens = count };
        using var response = await genAi!.PostAsJsonAsync("/generate", request, ct);
        return response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<GenAiResult>(ct) : null;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in clients) client.Dispose();
        foreach (var process in processes) await process.DisposeAsync();
        Bare?.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private async Task<HttpClient> StartAsync(string program, Func<string, string[]> arguments)
    {
        var port = WorkerRequests.FreePort();
        var process = new ChildProcess(program, arguments($"{port}"), new Dictionary<string, string?>());
        processes.Add(process);
        await process.LineAsync("ready");
        var client = WorkerRequests.Client(port);
        client.Timeout = Timeout.InfiniteTimeSpan;
        clients.Add(client);
        return client;
    }

    /// <summary>A result of GenAI.</summary>
    /// <param name="Texts">The tokens of the texts.</param>
    /// <param name="FirstSeconds">Time until the prompts were read, in seconds.</param>
    /// <param name="Seconds">Time until the end, in seconds.</param>
    public sealed record GenAiResult(int[][] Texts, double FirstSeconds, double Seconds);
}
