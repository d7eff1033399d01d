using Sluice.Worker.Statistics;

namespace Sluice.Worker.Generation;

/// <summary>
/// Counts what the engine of one model does, and records the durations and sizes of its texts. A recorded token costs a
/// lock and a search, and allocates nothing. What is read is thread-safe; what records is for the engine's step.
/// </summary>
/// <param name="context">Maximum number of tokens of a text.</param>
internal sealed class GenerationStatistics(int context)
{
    private readonly Lock gate = new();
    private GenerationCounters current;
    private long generatedBefore;

    /// <summary>What the engine published last. Guarded by <c>gate</c>.</summary>
    private GenerationCounters published;
    private readonly long[] ends = new long[Enum.GetValues<GenerationEnd>().Length];
    private readonly Histogram firstToken = new(GenerationBounds.FirstToken);
    private readonly Histogram interToken = new(GenerationBounds.InterToken);
    private readonly Histogram total = new(GenerationBounds.Request);
    private readonly Histogram queue = new(GenerationBounds.Request);
    private readonly Histogram prefill = new(GenerationBounds.Request);
    private readonly Histogram decode = new(GenerationBounds.Request);
    private readonly Histogram inference = new(GenerationBounds.Request);
    private readonly Histogram promptTokens = new(GenerationBounds.Tokens(context));
    private readonly Histogram generatedTokens = new(GenerationBounds.Tokens(context));
    private readonly Histogram stepTokens = new(GenerationBounds.StepTokens);
    private readonly Histogram batch = new(GenerationBounds.Batch);

    /// <summary>A snapshot of all distributions.</summary>
    public GenerationStatisticsView View
    {
        get
        {
            lock (gate)
                return new GenerationStatisticsView
                {
                    Ends = [.. ends],
                    FirstToken = firstToken.View(),
                    InterToken = interToken.View(),
                    Total = total.View(),
                    Queue = queue.View(),
                    Prefill = prefill.View(),
                    Decode = decode.View(),
                    Inference = inference.View(),
                    PromptTokens = promptTokens.View(),
                    GeneratedTokens = generatedTokens.View(),
                    StepTokens = stepTokens.View(),
                    Batch = batch.View(),
                };
        }
    }

    /// <summary>Number of tokens of prompts that were read, for the first time or again.</summary>
    public long TokensRead => current.PromptTokens + current.RecomputedTokens;

    /// <summary>Records that a text got a row that contains tokens of its prompt.</summary>
    public void RecordCached(int tokens) => current = current with { CachedTokens = current.CachedTokens + tokens };

    /// <summary>Records that a text lost its row.</summary>
    public void RecordPreemption() => current = current with { Preemptions = current.Preemptions + 1 };

    /// <summary>Records that a part of a prompt was read.</summary>
    /// <param name="prompt">Number of tokens of the prompt that were read for the first time.</param>
    /// <param name="again">Number of tokens that were read again.</param>
    public void RecordRead(int prompt, int again) => current = current with
    {
        PromptTokens = current.PromptTokens + prompt,
        RecomputedTokens = current.RecomputedTokens + again,
    };

    /// <summary>Records a step of the engine.</summary>
    /// <param name="decoded">Number of texts that generated a token in the run for them.</param>
    /// <param name="read">Number of tokens of prompts that were read.</param>
    public void RecordStep(int decoded, int read)
    {
        var tokens = read + current.GeneratedTokens - generatedBefore;
        generatedBefore = current.GeneratedTokens;
        current = current with
        {
            Steps = current.Steps + 1,
            LargestBatch = Math.Max(current.LargestBatch, decoded),
        };
        lock (gate)
        {
            if (decoded > 0) batch.Add(decoded);
            if (tokens > 0) stepTokens.Add(tokens);
        }
    }

    /// <summary>Records a generated token.</summary>
    /// <param name="timeline">The times of its text.</param>
    /// <param name="now">The time of the token, as a timestamp of the stopwatch.</param>
    public void RecordToken(SequenceTimeline timeline, long now)
    {
        var histogram = timeline.HasTokens ? interToken : firstToken;
        var since = timeline.OnToken(now).TotalSeconds;
        current = current with { GeneratedTokens = current.GeneratedTokens + 1 };
        lock (gate) histogram.Add(since);
    }

    /// <summary>Records the end of a text. Its durations count only if it is complete, as in vLLM.</summary>
    public void RecordEnd(Sequence sequence)
    {
        var (end, timeline) = (sequence.End, sequence.Timeline);
        if (end == GenerationEnd.Abort)
            current = current with
            {
                Abandoned = current.Abandoned + 1,
                AbandonedTokens = current.AbandonedTokens + sequence.Computed,
            };
        if (end == GenerationEnd.Error)
            current = current with { FailedTokens = current.FailedTokens + sequence.Computed };
        lock (gate)
        {
            ends[(int)end]++;
            if (end is not (GenerationEnd.Stop or GenerationEnd.Length)) return;
            total.Add(timeline.Total.TotalSeconds);
            queue.Add(timeline.Queue.TotalSeconds);
            prefill.Add(timeline.Prefill.TotalSeconds);
            decode.Add(timeline.Decode.TotalSeconds);
            inference.Add(timeline.Inference.TotalSeconds);
            promptTokens.Add(sequence.PromptTokens);
            generatedTokens.Add(sequence.Generated);
        }
    }

    /// <summary>Returns the counters that the engine published last, with texts that arrived since.</summary>
    public GenerationCounters CountersWith(IReadOnlyCollection<Sequence> arrived)
    {
        lock (gate)
            return published with
            {
                Waiting = published.Waiting + arrived.Count,
                WaitingTokens = published.WaitingTokens + arrived.Sum(s => (long)s.PromptTokens),
            };
    }

    /// <summary>Publishes the counters, with the present state of the engine.</summary>
    /// <param name="running">Number of texts that have a row.</param>
    /// <param name="waiting">The texts that wait for a row.</param>
    /// <param name="rows">The cache.</param>
    public void Publish(int running, WaitingSequences waiting, ISequenceCache rows)
    {
        var counters = current with
        {
            Running = running,
            Waiting = waiting.Count,
            WaitingTokens = waiting.Tokens,
            TokensHeld = rows.TokensHeld,
            TokensKept = rows.TokensKept,
        };
        lock (gate) published = counters;
    }
}
