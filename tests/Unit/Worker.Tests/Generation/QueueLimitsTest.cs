using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Scheduling;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;
using Sluice.Worker.Tensors;
using Sluice.Worker.Tests.Providers;

namespace Sluice.Worker.Tests.Generation;

/// <summary>Tests the limits of the texts that wait, and of the texts that are converted to tokens.</summary>
public sealed class QueueLimitsTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-queue-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(0, 0, 5000, null)]
    [InlineData(1, 900, 100, null)]
    [InlineData(1, 900, 101, "SLUICE_MAX_QUEUE_TOKENS")]
    [InlineData(9, 10, 10, null)]
    [InlineData(10, 10, 0, "SLUICE_MAX_QUEUE)")]
    public void A_text_beyond_a_limit_is_rejected_with_its_name(int waiting, long tokens, int prompt, string? limit)
    {
        var limits = new QueueLimits(10, 1000);
        if (limit is null) limits.Check(waiting, tokens, prompt);
        else
        {
            var error = Assert.Throws<InvalidRequestException>(() => limits.Check(waiting, tokens, prompt));
            Assert.Equal((503, 1), (error.Status, error.RetryAfter));
            Assert.Contains(limit, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Prompts_wait_up_to_a_number_of_tokens_and_count_until_they_leave()
    {
        using var model = Load(new GenerationLimits(MaxSequences: 1, MaxQueueTokens: 70, PrefixCache: PrefixCache.Off));
        var generator = model.Generator!;
        using var pause = new PauseAtThirdToken();
        var first = Start(generator, 10, pause);
        Assert.True(await first.MoveNextAsync());
        await pause.ReachedAsync();
        // Each prompt has a token more than its text.
        var waits = new[] { 29, 39 }.Select(n => Start(generator, n)).ToList();
        var started = waits.ConvertAll(w => w.MoveNextAsync().AsTask());
        Assert.Equal((2, 70L), (generator.Counters.Waiting, generator.Counters.WaitingTokens));
        // Without the limit, the text would wait for the paused engine.
        var error = await Assert.ThrowsAsync<InvalidRequestException>(() =>
            Start(generator, 0).MoveNextAsync().AsTask().WaitAsync(ChildProcess.Patience));
        Assert.Contains("2 requests with 70 tokens wait already, and this prompt has 1 tokens; expected at most 70",
            error.Message, StringComparison.Ordinal);
        await first.DisposeAsync();
        pause.Continue();
        await Task.WhenAll(started);
        foreach (var text in waits) await text.DisposeAsync();
        await Eventually.HoldsAsync(
            () => Task.FromResult(generator.Counters is { Running: 0, Waiting: 0, WaitingTokens: 0 }), "all have left");
    }

    [Fact]
    public void A_text_that_is_larger_than_the_context_is_rejected_before_it_is_converted_to_tokens()
    {
        using var model = Load(new GenerationLimits());
        // The context has 64 tokens, which are bytes.
        model.Generator!.CheckSize(new string('x', 63));
        var error = Assert.Throws<InvalidRequestException>(() => model.Generator.CheckSize(new string('x', 64)));
        Assert.Contains("at least 64 tokens; expected at most 63", error.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidRequestException>(() => model.Generator.Tokenize(Request(64)));
        Assert.Equal(63, model.Generator.Tokenize(Request(62)).Prompt!.Count);
    }

    [Fact]
    [Trait("Needs", "publish")]
    public async Task A_full_queue_is_a_503_that_can_be_retried_in_the_form_of_each_path()
    {
        TinyModel.Put(folder, "tiny", TinyDecoder.Bytes(context: 8192));
        await using var worker = await WorkerProcess.StartAsync(folder, new Dictionary<string, string?>
        {
            ["SLUICE_MAX_SEQUENCES"] = "1",
            ["SLUICE_MAX_QUEUE"] = "1",
        });
        const string LongText = """{"model":"tiny","prompt":"a","max_tokens":8000,"ignore_eos":true,"stream":true}""";
        // The first text has the only row, the second one the only place in the queue.
        using var running = await StreamAsync(worker, LongText);
        using var stop = new CancellationTokenSource();
        var waiting = worker.Client.PostAsync("v1/completions", new StringContent(LongText), stop.Token);
        await Eventually.HoldsAsync(
            async () => (await worker.Client.GetStringAsync("metrics")).Contains(
                "sluice_generation_waiting{model=\"tiny\",version=\"1\"} 1\n", StringComparison.Ordinal),
            "the second text waits");
        foreach (var (path, body) in new[]
            {
                ("v1/completions", """{"model":"tiny","prompt":"a"}"""),
                ("v2/models/tiny/generate", """{"text_input":"a"}"""),
                ("run", """{"input":{"text_input":"a"}}"""),
            })
        {
            using var refused = await worker.Client.PostAsync(path, new StringContent(body));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter?.Delta);
            var error = JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!;
            Assert.Equal(
                "1 requests wait already; expected fewer than 1 (SLUICE_MAX_QUEUE). Retry later.",
                (string?)(path.StartsWith("v1", StringComparison.Ordinal) ? error["message"] : error));
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    private static async Task<HttpResponseMessage> StreamAsync(WorkerProcess worker, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StringContent(body),
        };
        return await worker.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private static IAsyncEnumerator<GeneratedPiece> Start(
        TextGenerator generator,
        int length,
        ILogitsProcessor? pause = null) =>
        generator.GenerateAsync(Request(length) with { Constraint = pause }, CancellationToken.None)
            .GetAsyncEnumerator(CancellationToken.None);

    private static GenerationRequest Request(int length) => new(
        null, new string('q', length), 64, Temperature: 0, TopK: 0, TopP: 1, Seed: 1, Stop: [], IgnoreEos: true);

    private LoadedModel Load(GenerationLimits limits)
    {
        TinyModel.Put(folder, "tiny", TinyDecoder.Bytes());
        var path = Path.Combine(folder, "tiny", "1", "model.onnx");
        return new LoadedModel("tiny", "1", new ModelFile(path, path, false), new ExecutionProviders(["cpu"]),
            new ExecutionSlots(2), new BatchLimits(1), limits);
    }
}
