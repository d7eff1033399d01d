using Sluice.Testing;
using Sluice.Worker.Generation;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;
using Sluice.Worker.Tensors;
using Sluice.Worker.Tests.Providers;

namespace Sluice.Worker.Tests.Generation;

/// <summary>Tests continuous batching with real models on the CPU.</summary>
public sealed class GenerationEngineTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-engine-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Texts_that_are_generated_together_are_equal_to_those_generated_alone()
    {
        var random = new Random(1);
        var requests = Enumerable.Range(0, RandomCases.Count(200))
            .Select(_ => Request(Prompt(random), random.Next(1, 60))).ToList();
        var alone = await AloneAsync(requests);
        using var model = Story(new GenerationLimits(MaxSequences: 16));
        Assert.Equal(alone, await TogetherAsync(model.Generator!, requests, new Random(2)));
        var counters = model.Generator!.Counters;
        Assert.Equal(16, counters.LargestBatch);
        Assert.Equal((0, 0, 0L, 0L), (counters.Running, counters.Waiting, counters.TokensHeld, counters.Preemptions));
    }

    [Fact]
    public async Task Texts_that_lose_their_rows_continue_as_if_nothing_had_happened()
    {
        var random = new Random(3);
        // Rows of 256 tokens until a text needs 512: then half of the texts have no row.
        var requests = Enumerable.Range(0, RandomCases.AreFew ? 16 : 40)
            .Select(_ => Request(Prompt(random, longest: 1000), random.Next(20, 120)) with
            {
                IgnoreEos = true,
            }).ToList();
        var alone = await AloneAsync(requests);
        using var model = Story(new GenerationLimits(MaxSequences: 8, CacheBytes: 8 * 256 * 2048));
        Assert.Equal(alone, await TogetherAsync(model.Generator!, requests, new Random(4)));
        Assert.True(model.Generator!.Counters.Preemptions > 0);
        Assert.True(model.Generator!.Counters.RecomputedTokens > 0);
    }

    [Fact]
    public async Task A_text_whose_reader_stopped_leaves_before_the_next_step()
    {
        using var model = Story(new GenerationLimits(MaxSequences: 1));
        var generator = model.Generator!;
        using var stop = new CancellationTokenSource();
        var first = generator.GenerateAsync(Request("Once", 400) with { IgnoreEos = true }, stop.Token)
            .GetAsyncEnumerator(CancellationToken.None);
        Assert.True(await first.MoveNextAsync());
        using var stopWaiting = new CancellationTokenSource();
        var waits = generator.GenerateAsync(Request("Once", 400), stopWaiting.Token)
            .GetAsyncEnumerator(CancellationToken.None);
        var waiting = waits.MoveNextAsync();
        await stopWaiting.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await waiting);
        await waits.DisposeAsync();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            while (await first.MoveNextAsync())
            {
            }
        });
        await first.DisposeAsync();
        await Eventually.HoldsAsync(
            () => Task.FromResult(generator.Counters is { Running: 0, Waiting: 0, Abandoned: 2 }),
            "both texts have left");
        Assert.True(generator.Counters.GeneratedTokens < 400);
        // The waiting text left without a step: only the prompt of the first one was read, with the token before it.
        Assert.Equal(2, generator.Counters.PromptTokens);
        Assert.Equal("stop", (await WholeAsync(generator, Request("Once", 400))).Reason);
    }

    [Fact]
    public async Task A_text_that_fails_fails_no_other_text_of_the_same_step()
    {
        // The model fails when it reads a token above 127.
        using var fails = Load("fails", TinyDecoder.Bytes(reads: 128), new GenerationLimits());
        using var whole = Load("whole", TinyDecoder.Bytes(), new GenerationLimits());
        var requests = Enumerable.Range(0, 40).Select(i =>
            Request($"{(char)('!' + i)}{(char)('0' + i)}", 2) with
            {
                Temperature = 1, Seed = (ulong)i, IgnoreEos = true,
            }).ToList();
        var expected = new List<bool>();
        foreach (var request in requests) expected.Add(await FailsAsync(fails.Generator!, request));
        Assert.Contains(true, expected);
        Assert.Contains(false, expected);
        var together = await Task.WhenAll(requests.Select(r => FailsAsync(fails.Generator!, r)));
        Assert.Equal(expected, together);
        Assert.True(fails.Generator!.Counters.LargestBatch > 1);
    }

    [Fact]
    public async Task A_request_beyond_the_queue_is_rejected_with_503()
    {
        using var model = Story(new GenerationLimits(MaxSequences: 1), maxQueue: 2);
        var generator = model.Generator!;
        var first = generator.GenerateAsync(Request("Once", 400) with { IgnoreEos = true }, CancellationToken.None)
            .GetAsyncEnumerator(CancellationToken.None);
        Assert.True(await first.MoveNextAsync());
        var waiting = Enumerable.Range(0, 2).Select(_ => WholeAsync(generator, Request("Once", 1))).ToList();
        var refused = await Assert.ThrowsAsync<InvalidRequestException>(
            () => WholeAsync(generator, Request("Once", 1)));
        Assert.Equal(503, refused.Status);
        await first.DisposeAsync();
        await Task.WhenAll(waiting);
    }

    [Fact]
    public async Task A_model_that_is_unloaded_ends_its_texts_with_an_error()
    {
        var model = Story(new GenerationLimits());
        var whole = WholeAsync(model.Generator!, Request("Once", 500) with { IgnoreEos = true });
        await Eventually.HoldsAsync(
            () => Task.FromResult(model.Generator!.Counters.GeneratedTokens > 0), "the first token");
        model.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => whole);
    }

    [Fact]
    public void The_cache_stays_below_the_size_of_a_tensor_whose_address_is_available()
    {
        // A token has 256 bytes in each tensor of the model.
        using var model = Story(new GenerationLimits(MaxSequences: 4096 * 1024, CacheBytes: 1L << 45));
        Assert.Equal(int.MaxValue / 256, model.Generator!.TokenRoom);
    }

    private static async Task<List<string>> AloneAsync(IEnumerable<GenerationRequest> requests)
    {
        using var model = Story(new GenerationLimits(MaxSequences: 1));
        var texts = new List<string>();
        foreach (var request in requests) texts.Add((await WholeAsync(model.Generator!, request)).Text);
        return texts;
    }

    /// <summary>Starts the requests in groups of random sizes, each when a text of the earlier ones has ended.</summary>
    private static async Task<List<string>> TogetherAsync(
        TextGenerator generator,
        List<GenerationRequest> requests,
        Random random)
    {
        var texts = new List<Task<(string Text, string? Reason)>>();
        while (texts.Count < requests.Count)
        {
            foreach (var request in requests.Skip(texts.Count).Take(random.Next(1, 24)).ToList())
                texts.Add(WholeAsync(generator, request));
            await Task.WhenAny(texts.Where(t => !t.IsCompleted).DefaultIfEmpty(texts[0]));
        }

        return [.. (await Task.WhenAll(texts)).Select(t => t.Text)];
    }

    private static async Task<(string Text, string? Reason)> WholeAsync(
        TextGenerator generator,
        GenerationRequest request)
    {
        var (text, reason) = ("", (string?)null);
        await foreach (var piece in generator.GenerateAsync(request, CancellationToken.None))
            (text, reason) = (text + piece.Text, piece.FinishReason);
        return (text, reason);
    }

    private static async Task<bool> FailsAsync(TextGenerator generator, GenerationRequest request)
    {
        try
        {
            await WholeAsync(generator, request);
            return false;
        }
        catch (InvalidRequestException)
        {
            return true;
        }
    }

    private static GenerationRequest Request(string text, int maxTokens) => new(
        null, text, maxTokens, Temperature: 0, TopK: 0, TopP: 1, Seed: 1, Stop: []);

    private static string Prompt(Random random, int longest = 200)
    {
        const string text = "Once upon a time, there was a brave little cat who lived near the river. "
            + "Tom went to the forest. ";
        var start = random.Next(text.Length);
        return string.Concat(Enumerable.Repeat(text, 12)).Substring(start, random.Next(1, longest));
    }

    private static LoadedModel Story(GenerationLimits limits, int maxQueue = 1000)
    {
        var path = Path.Combine(Repository.Models, "story", "1", "model.onnx");
        return Open("story", path, limits, maxQueue);
    }

    private LoadedModel Load(string name, byte[] model, GenerationLimits limits)
    {
        TinyModel.Put(folder, name, model);
        return Open(name, Path.Combine(folder, name, "1", "model.onnx"), limits, 1000);
    }

    private static LoadedModel Open(string name, string path, GenerationLimits limits, int maxQueue) => new(
        name, "1", new ModelFile(path, path, false, Threads: 2), new ExecutionProviders(["cpu"]), new ExecutionSlots(2),
        new BatchLimits(1, maxQueue), limits);
}
