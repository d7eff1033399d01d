using Sluice.Testing;
using Sluice.Worker.Generation;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Tests.Generation;

/// <summary>Tests that texts take the tokens with which they begin from the cache, and nothing else.</summary>
public sealed class PrefixCacheTest
{
    private const string System = "Once upon a time there was a brave little girl named Anna who lived near the old barn. "
        + "One day, Anna saw a fox near the river. The fox was sad.";

    [Theory]
    [InlineData(16, null)]
    [InlineData(4, 6L * 256 * 2048)]
    [InlineData(1, null)]
    public async Task Texts_are_the_same_with_and_without_the_cache(int sequences, long? bytes)
    {
        var random = new Random(7);
        var requests = Enumerable.Range(0, RandomCases.Count(200)).Select(_ =>
            Request(Prompt(random), random.Next(1, 40)) with
            {
                Scope = random.Next(3).ToString(global::System.Globalization.CultureInfo.InvariantCulture),
            }).ToList();
        using var without = Story(new GenerationLimits(sequences, bytes, PrefixCache: PrefixCache.Off));
        using var with = Story(new GenerationLimits(sequences, bytes));
        var expected = await Task.WhenAll(requests.Select(r => WholeAsync(without.Generator!, r)));
        Assert.Equal(0, without.Generator!.Counters.CachedTokens);
        Assert.Equal(expected, await InGroupsAsync(with.Generator!, requests, random));
        var counters = with.Generator!.Counters;
        Assert.True(counters.CachedTokens > 0 && counters.PromptTokens < without.Generator.Counters.PromptTokens);
        Assert.Equal(without.Generator.Counters.PromptTokens, counters.CachedTokens + counters.PromptTokens);
    }

    [Fact]
    public async Task A_conversation_reads_only_what_is_new()
    {
        using var model = Story(new GenerationLimits());
        var first = await WholeAsync(model.Generator!, Request(System, 20));
        var before = model.Generator!.Counters;
        await WholeAsync(model.Generator!, Request(System + first + " And then", 5));
        var read = model.Generator!.Counters.PromptTokens - before.PromptTokens;
        // Not in the cache: the last token of the first text, which was not read, and the new ones.
        Assert.InRange(read, 1, " And then".Length + 2);
        Assert.Equal(before.PromptTokens + before.GeneratedTokens - 1, model.Generator!.Counters.CachedTokens);
    }

    [Fact]
    public async Task Texts_of_different_scopes_share_nothing_unless_the_worker_allows_it()
    {
        foreach (var (mode, shares) in new[] { (PrefixCache.Key, false), (PrefixCache.Shared, true) })
        {
            using var model = Story(new GenerationLimits(PrefixCache: mode));
            await WholeAsync(model.Generator!, Request(System, 5) with { Scope = "a" });
            await WholeAsync(model.Generator!, Request(System, 5) with { Scope = "b" });
            Assert.Equal(shares, model.Generator!.Counters.CachedTokens > 0);
            await WholeAsync(model.Generator!, Request(System, 5) with { Scope = "a" });
            Assert.True(model.Generator!.Counters.CachedTokens > 0);
        }
    }

    [Fact]
    public async Task A_running_text_shares_its_prompt()
    {
        using var model = Story(new GenerationLimits());
        await using var running = model.Generator!
            .GenerateAsync(Request(System, 400) with { IgnoreEos = true }, CancellationToken.None)
            .GetAsyncEnumerator(CancellationToken.None);
        Assert.True(await running.MoveNextAsync());
        var prompt = model.Generator!.Counters.PromptTokens;
        await WholeAsync(model.Generator!, Request(System + " He", 2));
        Assert.True(model.Generator!.Counters.CachedTokens >= prompt);
    }

    [Fact]
    public async Task Requests_with_a_lower_priority_number_are_served_first()
    {
        using var model = Story(new GenerationLimits(MaxSequences: 1));
        // Each text is so long that the next one cannot start before its first token is seen.
        var request = Request("Once", 500) with { IgnoreEos = true };
        var first = model.Generator!.GenerateAsync(request, CancellationToken.None)
            .GetAsyncEnumerator(CancellationToken.None);
        Assert.True(await first.MoveNextAsync());
        var waiting = new[] { 5, 3, 9, 0, 7 }.Select(priority =>
        {
            var pieces = model.Generator!.GenerateAsync(request with { Priority = priority }, CancellationToken.None)
                .GetAsyncEnumerator(CancellationToken.None);
            return (Priority: priority, Pieces: pieces, Started: pieces.MoveNextAsync().AsTask());
        }).ToList();
        await Eventually.HoldsAsync(() => Task.FromResult(model.Generator!.Counters.Waiting == 5), "all wait");
        await first.DisposeAsync();
        var order = new List<int>();
        while (waiting.Count > 0)
        {
            var started = await Task.WhenAny(waiting.Select(w => w.Started));
            var next = waiting.Single(w => w.Started == started);
            order.Add(next.Priority);
            waiting.Remove(next);
            await next.Pieces.DisposeAsync();
        }

        Assert.Equal([0, 3, 5, 7, 9], order);
    }

    [Fact]
    public async Task A_request_that_waits_longer_than_its_timeout_fails_with_504()
    {
        using var model = Story(new GenerationLimits(MaxSequences: 1));
        await using var first = model.Generator!
            .GenerateAsync(Request("Once", 400) with { IgnoreEos = true }, CancellationToken.None)
            .GetAsyncEnumerator(CancellationToken.None);
        Assert.True(await first.MoveNextAsync());
        var late = await Assert.ThrowsAsync<InvalidRequestException>(() =>
            WholeAsync(model.Generator!, Request("Once", 1) with { Timeout = TimeSpan.FromMilliseconds(1) }));
        Assert.Equal(504, late.Status);
    }

    private static async Task<string[]> InGroupsAsync(
        TextGenerator generator,
        List<GenerationRequest> requests,
        Random random)
    {
        var texts = new List<Task<string>>();
        while (texts.Count < requests.Count)
        {
            foreach (var request in requests.Skip(texts.Count).Take(random.Next(1, 12)).ToList())
                texts.Add(WholeAsync(generator, request));
            await Task.WhenAny(texts.Where(t => !t.IsCompleted).DefaultIfEmpty(texts[0]));
        }

        return await Task.WhenAll(texts);
    }

    private static string Prompt(Random random)
    {
        var start = System[..random.Next(1, System.Length)];
        return random.Next(3) switch { 0 => start, 1 => System + start, _ => System + System + start };
    }

    private static async Task<string> WholeAsync(TextGenerator generator, GenerationRequest request)
    {
        var text = "";
        await foreach (var piece in generator.GenerateAsync(request, CancellationToken.None)) text += piece.Text;
        return text;
    }

    private static GenerationRequest Request(string text, int maxTokens) => new(
        null, text, maxTokens, Temperature: 0, TopK: 0, TopP: 1, Seed: 1, Stop: []);

    private static LoadedModel Story(GenerationLimits limits)
    {
        var path = Path.Combine(Repository.Models, "story", "1", "model.onnx");
        return new LoadedModel("story", "1", new ModelFile(path, path, false), new ExecutionProviders(["cpu"]),
            new ExecutionSlots(2), new BatchLimits(1, 1000), limits);
    }
}
