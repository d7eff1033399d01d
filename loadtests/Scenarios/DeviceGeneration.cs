using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Text generation and embeddings of the worker on one execution provider, beside ONNX Runtime in this process on the
/// same models: tokens a second and the time to the first token.
/// </summary>
internal static class DeviceGeneration
{
    /// <summary>Tokens of each prompt and of each generated text.</summary>
    private const int Prompt = 32, Texts = 16;

    private static readonly int[] Streams = [1, 4, 16, 64];

    /// <summary>Measures the forms of a decoder that the provider has, and an embedding model.</summary>
    /// <param name="text">Receives the report.</param>
    /// <param name="provider">What runs the models.</param>
    /// <param name="start">Starts a worker on a repository, which serves one model.</param>
    /// <param name="options">Rounds.</param>
    /// <param name="ct">Stops it.</param>
    public static async Task RunAsync(
        StringBuilder text,
        string provider,
        Func<string, string, int, ChildProcess> start,
        ScenarioOptions options,
        CancellationToken ct)
    {
        var model = provider is "cuda" or "tensorrt"
            ? new DecoderModel { Layers = 12, Heads = 16, HeadWidth = 64, Half = true, Context = 512 }
            : new DecoderModel { Layers = 2, Heads = 4, HeadWidth = 16, Half = provider == "webgpu", Context = 512 };
        (string Name, DecoderModel Model)[] forms = provider == "cpu"
            ? [("rows", model)]
            : [("rows", model), ("paged", model with { Paged = true })];
        text.Append(CultureInfo.InvariantCulture, $"\n## Text generation\n\nA decoder of {model.Layers} layers of width ")
            .Append(CultureInfo.InvariantCulture, $"{model.Heads * model.HeadWidth} with random weights; prompts of {Prompt} ")
            .Append(CultureInfo.InvariantCulture, $"tokens, {Texts} tokens each; medians of {options.Rounds} rounds. In process: ")
            .Append("ONNX Runtime alone, with all sequences in one run, of equal length, without sampling.\n\n")
            .Append("| back end, streams | tokens/s | of one stream | of in process | first token, ms (p50) |\n|---|---|---|---|---|\n");
        foreach (var (name, form) in forms)
        {
            var repository = Directory.CreateTempSubdirectory("sluice-generation-bench-").FullName;
            TinyModel.Put(repository, name, form.ToBytes());
            await FormAsync(text, (repository, name, form), provider, start, options.Rounds, ct);
            Directory.Delete(repository, recursive: true);
        }

        await EmbeddingsAsync(text, provider, start, options.Rounds, ct);
    }

    private static async Task FormAsync(
        StringBuilder text,
        (string Repository, string Name, DecoderModel Model) of,
        string provider,
        Func<string, string, int, ChildProcess> start,
        int rounds,
        CancellationToken ct)
    {
        var port = WorkerRequests.FreePort();
        await using var worker = start(of.Repository, of.Name, port);
        if (!await IsReadyAsync(worker))
        {
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {of.Name} | does not serve: {worker.Output.ReplaceLineEndings(" ")} | | | |");
            return;
        }

        using var client = WorkerRequests.Client(port);
        client.Timeout = TimeSpan.FromMinutes(10);
        using var bare = new BareDecoder(
            Path.Combine(of.Repository, of.Name, "1", "model.onnx"), of.Model, provider);
        var one = 0.0;
        foreach (var streams in Streams)
        {
            // The first run of each number of sequences compiles shaders.
            await ManyAsync(client, of.Name, streams, 2, seed: -1, ct);
            bare.TokensPerSecond(streams, Prompt, 2);
            var (rates, firsts, limits) = (new List<double>(), new List<double>(), new List<double>());
            for (var round = 0; round < rounds; round++)
            {
                var (rate, first) = await ManyAsync(client, of.Name, streams, Texts, round, ct);
                rates.Add(rate);
                firsts.Add(first);
                limits.Add(bare.TokensPerSecond(streams, Prompt, Texts));
            }

            if (streams == 1) one = Median(rates);
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {of.Name}, {streams} | {Median(rates):n1} | {Median(rates) / one:0.00} | {Median(rates) / Median(limits):0.00} | {Median(firsts):n0} |");
        }
    }

    private static async Task<bool> IsReadyAsync(ChildProcess worker)
    {
        for (var patience = 10; ; patience--)
            try
            {
                await worker.LineAsync("ready: ");
                return true;
            }
            catch (TimeoutException) when (patience > 1)
            {
                // A software device compiles its shaders.
            }
            catch (InvalidOperationException)
            {
                return false;
            }
    }

    private static async Task<(double TokensPerSecond, double FirstToken)> ManyAsync(
        HttpClient client,
        string model,
        int streams,
        int tokens,
        int seed,
        CancellationToken ct)
    {
        var random = new Random(seed);
        var bodies = Enumerable.Range(0, streams).Select(_ => new JsonObject
        {
            // Without the token before it, so that no prompt is in the cache.
            ["text_input"] = new string([.. Enumerable.Range(1, Prompt - 1).Select(_ => (char)random.Next('a', 'z'))]),
            ["parameters"] = new JsonObject { ["max_tokens"] = tokens, ["temperature"] = 0, ["ignore_eos"] = true },
        }).ToList();
        var began = Stopwatch.GetTimestamp();
        var firsts = await Task.WhenAll(bodies.Select(async body =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"/v2/models/{model}/generate_stream")
            {
                Content = JsonContent.Create(body),
            };
            using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            answer.EnsureSuccessStatusCode();
            using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(ct));
            await lines.ReadLineAsync(ct);
            var first = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
            await lines.ReadToEndAsync(ct);
            return first;
        }));
        return (streams * tokens / Stopwatch.GetElapsedTime(began).TotalSeconds, Median([.. firsts]));
    }

    private static async Task EmbeddingsAsync(
        StringBuilder text,
        string provider,
        Func<string, string, int, ChildProcess> start,
        int rounds,
        CancellationToken ct)
    {
        var path = Path.Combine(Repository.Models, "embed", "1", "model.onnx");
        text.Append("\n## Embeddings\n\n`models/embed`, inputs of about 32 tokens, 16 in each request.\n\n");
        if (!File.Exists(path))
        {
            text.Append("The model is not there: run `make models`.\n");
            return;
        }

        var port = WorkerRequests.FreePort();
        await using var worker = start(Repository.Models, "embed", port);
        if (!await IsReadyAsync(worker))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"It does not serve: {worker.Output.ReplaceLineEndings(" ")}");
            return;
        }

        using var client = WorkerRequests.Client(port);
        client.Timeout = TimeSpan.FromMinutes(10);
        const string words = "the quick brown fox jumps over the lazy dog and runs into the dark forest at night when ";
        var body = new JsonObject
        {
            ["model"] = "embed",
            ["input"] = new JsonArray([.. Enumerable.Range(0, 16).Select(i => (JsonNode)(words + words + i))]),
        };
        var (rates, limits) = (new List<double>(), new List<double>());
        for (var round = -1; round < rounds; round++)
        {
            var began = Stopwatch.GetTimestamp();
            using var answer = await client.PostAsJsonAsync(new Uri("/v1/embeddings", UriKind.Relative), body, ct);
            var usage = JsonNode.Parse(await answer.Content.ReadAsStringAsync(ct))?["usage"]?["prompt_tokens"];
            if (usage is null)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"The worker returned {(int)answer.StatusCode}.");
                return;
            }

            var tokens = (int)usage;
            var rate = tokens / Stopwatch.GetElapsedTime(began).TotalSeconds;
            var limit = BareEncoder.TokensPerSecond(path, provider, 16, tokens / 16);
            // The first round compiles shaders.
            if (round < 0) continue;
            rates.Add(rate);
            limits.Add(limit);
        }

        text.AppendLine(CultureInfo.InvariantCulture,
            $"{Median(rates):n0} tokens/s over HTTP, with tokenizing and pooling; {Median(rates) / Median(limits):0.00} of the encoder in process.");
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
