using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation.Decoding;
using Sluice.Worker.Generation.Scheduling;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation;

/// <summary>
/// Generates the texts of one model, with continuous batching: sequences join and leave at each step. A step generates
/// a token of each sequence whose prompt is read, and reads a part of the prompts of others, as
/// <see cref="StepPlan"/> decides. The engine owns the key/value cache: sequence i of those that run has row i.
/// </summary>
/// <param name="backEnd">The decoder and its cache. The engine does not dispose it.</param>
/// <param name="keeps">Whether tokens are kept for sequences that begin with them.</param>
/// <param name="slots">Execution slots for the runs of the model.</param>
/// <param name="queue">Limits of the sequences that wait.</param>
internal sealed class GenerationEngine(
    IGenerationBackEnd backEnd,
    bool keeps,
    ExecutionSlots slots,
    QueueLimits queue)
    : IDisposable
{
    /// <summary>Maximum number of sequences that join in one step, so that few must be looked up.</summary>
    private const int MaxJoining = 16;

    private readonly IDecoder decoder = backEnd.Decoder;
    private readonly ISequenceCache rows = backEnd.CreateCache(keeps);
    private readonly SemaphoreSlim signal = new(0, 1);
    private readonly CancellationTokenSource stopping = new();
    private readonly Lock gate = new();

    /// <summary>Sequences that were submitted since the last step. Guarded by <c>gate</c>.</summary>
    private readonly List<Sequence> arrived = [];

    /// <summary>Held while the loop uses the fields below, the decoder or the cache.</summary>
    private readonly Lock step = new();
    private readonly WaitingSequences waiting = new();
    private readonly GenerationStatistics statistics = new(backEnd.Limits.Context);
    private readonly ReadBudget budget = new();
    private long lastId;
    private Task? loop;

    /// <summary>Limits of the cache.</summary>
    public SchedulerLimits Limits => backEnd.Limits;

    /// <summary>The counters after the last step.</summary>
    public GenerationCounters Counters
    {
        get
        {
            lock (gate) return statistics.CountersWith(arrived);
        }
    }

    /// <summary>Durations and sizes of the texts so far.</summary>
    public GenerationStatisticsView Statistics => statistics.View;

    /// <summary>Rejects a sequence for which the queue has no room.</summary>
    /// <param name="prompt">Number of tokens of its prompt; 0: not known yet.</param>
    /// <exception cref="InvalidRequestException">503: too many sequences or tokens wait.</exception>
    public void CheckQueue(int prompt) => queue.Check(Counters.Waiting, Counters.WaitingTokens, prompt);

    /// <summary>Adds a sequence. The caller reads its pieces, and abandons it if it stops to read.</summary>
    /// <param name="create">Creates the sequence with its number.</param>
    /// <exception cref="InvalidRequestException">503: too many sequences or tokens wait.</exception>
    public Sequence Submit(Func<long, Sequence> create)
    {
        // The lock would be held too long for a long prompt.
        var sequence = create(Interlocked.Increment(ref lastId));
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(stopping.IsCancellationRequested, this);
            CheckQueue(sequence.PromptTokens);
            arrived.Add(sequence);
            loop ??= Task.Run(RunAsync);
        }

        Wake();
        return sequence;
    }

    /// <summary>Ends a sequence whose reader stopped. Has no effect after its end.</summary>
    public void Abandon(Sequence sequence)
    {
        sequence.Abandon();
        Wake();
    }

    /// <summary>Stops after the current run. Sequences that are not complete fail.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            if (stopping.IsCancellationRequested) return;
            stopping.Cancel();
        }

        // The loop uses nothing more after a step that runs now.
        lock (step)
            foreach (var sequence in rows.Running.Concat(waiting.All).Concat(arrived))
                Close(sequence, new ObjectDisposedException(nameof(GenerationEngine), "The model was unloaded."));
        if (loop is null) Release();
    }

    private void Release()
    {
        signal.Dispose();
        stopping.Dispose();
    }

    private void Wake()
    {
        lock (gate)
        {
            if (!stopping.IsCancellationRequested && signal.CurrentCount == 0) signal.Release();
        }
    }

    private async Task RunAsync()
    {
        try
        {
            while (!stopping.IsCancellationRequested)
            {
                await signal.WaitAsync(stopping.Token);
                while (TakeArrived()) await StepAsync();
            }
        }
        catch (Exception) when (stopping.IsCancellationRequested)
        {
            // The model was unloaded.
        }
        finally
        {
            Release();
        }
    }

    private async Task StepAsync()
    {
        try
        {
            await slots.RunAsync(Step, stopping.Token);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            lock (step) FailStep(e);
        }
    }

    /// <summary>Takes new sequences, removes those without a reader, and returns whether any are left.</summary>
    private bool TakeArrived()
    {
        lock (step) return !stopping.IsCancellationRequested && TakeArrivedInStep();
    }

    private bool TakeArrivedInStep()
    {
        lock (gate)
        {
            foreach (var sequence in arrived) waiting.Add(sequence);
            arrived.Clear();
            Publish();
        }

        foreach (var late in waiting.TakeLate(Stopwatch.GetTimestamp()))
            Close(late, new InvalidRequestException("The request waited for its 'timeout' without a start.", 504));
        foreach (var sequence in waiting.CloseAbandoned()) statistics.RecordEnd(sequence);
        for (var row = rows.Running.Count - 1; row >= 0; row--)
        {
            if (rows.Running[row] is not { IsAbandoned: true } sequence) continue;
            rows.Remove(row, keep: true);
            statistics.RecordEnd(sequence);
            sequence.Close();
        }

        Publish();
        return rows.Running.Count + waiting.Count > 0;
    }

    private bool Step(RunOptions options)
    {
        lock (step)
        {
            if (stopping.IsCancellationRequested) return false;
            RunStep(options);
            return true;
        }
    }

    private void RunStep(RunOptions options)
    {
        var next = waiting.All.Take(MaxJoining).Select(s => s.Facts with { Read = rows.FindShared(s) }).ToList();
        var known = rows.Running.Select(s => s.Facts).ToList();
        var decoding = known.Count(s => s.Decodes);
        var readable = Math.Min(known.Count + waiting.Count, Limits.MaxSequences) - decoding;
        var plan = rows.Plan(known, next, Limits, budget.Next(readable, decoding));
        foreach (var id in plan.Preempted) Preempt(id);
        rows.Resize(plan.Size);
        var chunks = plan.Chunks
            .Select(c => (c.Id, End: known.Concat(next).First(s => s.Id == c.Id).Read + c.Tokens)).ToList();
        var (before, began) = (statistics.TokensRead, Stopwatch.GetTimestamp());
        var decoded = decoder.ReadsMixedRows ? ReadMixed(options, chunks) : Decode(options);
        var between = Stopwatch.GetTimestamp();
        if (!decoder.ReadsMixedRows)
            foreach (var (id, end) in chunks) ReadChunk(options, id, end);
        // Fewer than planned if a text that joins finds tokens that this step has read for another one.
        var (read, duration) = ((int)(statistics.TokensRead - before), Stopwatch.GetElapsedTime(began, between));
        if (decoded > 0 && decoder.ReadsMixedRows) budget.RecordMixed(read, duration);
        else if (decoded > 0) budget.Record(read, Stopwatch.GetElapsedTime(between), duration);
        statistics.RecordStep(decoded, read);
        Publish();
    }

    /// <summary>
    /// Generates a token of each sequence that decodes, and reads parts of prompts in the same run. Returns the number
    /// of sequences that decoded before.
    /// </summary>
    private int ReadMixed(RunOptions options, IReadOnlyList<(long Id, int End)> chunks)
    {
        foreach (var (id, _) in chunks)
            if (RowOf(id) < 0) Join(id);
        List<Sequence> sequences = [.. rows.Running];
        var decoded = sequences.Count(s => s.Decodes);
        var ended = new bool[sequences.Count];
        new MixedReader(decoder, rows, statistics).Read(options, chunks.ToDictionary(c => c.Id, c => c.End), OnRead,
            (position, e) => ended[position] = Fail(sequences[position], e), stopping.Token);
        RemoveEnded(sequences, ended);
        return decoded;

        void OnRead(int position, int index)
        {
            Publish();
            if (sequences[position].Facts.Unread == 0) ended[position] = Sample(sequences[position], index);
        }
    }

    /// <summary>Generates a token of each sequence that decodes, and returns the number of these sequences.</summary>
    private int Decode(RunOptions options)
    {
        var sequences = rows.Running.TakeWhile(s => s.Decodes).ToList();
        var count = sequences.Count;
        if (count == 0) return 0;
        var ended = new bool[count];
        if (decoder.ReadsSeveralRows && count > 1 && TryReadRows(options, sequences))
        {
            foreach (var sequence in sequences) sequence.OnRead(1);
            Publish();
            for (var row = 0; row < count; row++) ended[row] = Sample(sequences[row], row);
        }
        else
            for (var row = 0; row < count; row++) ended[row] = ReadOne(options, row);
        RemoveEnded(sequences, ended);
        return count;
    }

    private void RemoveEnded(List<Sequence> sequences, bool[] ended)
    {
        if (!ended.Contains(true)) return;
        for (var row = sequences.Count - 1; row >= 0; row--)
        {
            if (!ended[row]) continue;
            rows.Remove(row, keep: !sequences[row].HasFailed);
            statistics.RecordEnd(sequences[row]);
        }

        Publish();
        for (var row = 0; row < sequences.Count; row++)
            if (ended[row]) sequences[row].Close();
    }

    /// <summary>
    /// Reads the last token of the first rows in one run. Returns false if the run fails. The rows are unchanged then,
    /// so each one can be run alone, and only those that caused the failure fail.
    /// </summary>
    private bool TryReadRows(RunOptions options, List<Sequence> sequences)
    {
        Span<int> past = stackalloc int[sequences.Count], last = stackalloc int[sequences.Count];
        for (var row = 0; row < sequences.Count; row++)
            (past[row], last[row]) = (sequences[row].Read, sequences[row].Last);
        try
        {
            decoder.ReadRows(options, past, last);
            return true;
        }
        catch (OnnxRuntimeException) when (!stopping.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Generates a token of one sequence alone, and returns whether the sequence has ended.</summary>
    private bool ReadOne(RunOptions options, int row)
    {
        var sequence = rows.Running[row];
        try
        {
            decoder.Read(options, row, sequence.Read, sequence.Next(1));
        }
        catch (OnnxRuntimeException e) when (!stopping.IsCancellationRequested)
        {
            return Fail(sequence, e);
        }

        sequence.OnRead(1);
        return Sample(sequence, 0);
    }

    /// <summary>Reads a part of a prompt. A sequence that was waiting gets the next row.</summary>
    /// <param name="options">Options of the run.</param>
    /// <param name="id">Number of the sequence.</param>
    /// <param name="end">Number of tokens that are read afterwards, with those that another row contains.</param>
    private void ReadChunk(RunOptions options, long id, int end)
    {
        var row = RowOf(id);
        if (row < 0) row = Join(id);
        var sequence = rows.Running[row];
        try
        {
            while (sequence.Read < end)
            {
                var read = Math.Min(end - sequence.Read, decoder.MaxTokens);
                decoder.Read(options, row, sequence.Read, sequence.Next(read));
                var (prompt, again) = sequence.OnRead(read);
                statistics.RecordRead(prompt, again);
            }
        }
        catch (OnnxRuntimeException e) when (!stopping.IsCancellationRequested)
        {
            Fail(sequence, e);
            End(row, keep: false);
            return;
        }

        // Before the reader gets the first piece, so that a report with it includes this text.
        Publish();
        if (sequence.Facts.Unread == 0 && Sample(sequence, 0)) End(row, keep: true);
    }

    /// <summary>Gives a sequence that was waiting the next row, and returns it.</summary>
    private int Join(long id)
    {
        var joined = waiting.Take(id);
        joined.Timeline.OnStarted(Stopwatch.GetTimestamp());
        var cached = joined.CachedTokens;
        var row = rows.Add(joined);
        statistics.RecordCached(joined.CachedTokens - cached);
        return row;
    }

    private int RowOf(long id)
    {
        for (var row = 0; row < rows.Running.Count; row++)
            if (rows.Running[row].Id == id) return row;
        return -1;
    }

    /// <summary>Samples from the logits of the last run, and returns whether the sequence has ended.</summary>
    private bool Sample(Sequence sequence, int index)
    {
        try
        {
            var ended = sequence.Sample(decoder.LogitsOf(index));
            statistics.RecordToken(sequence.Timeline, Stopwatch.GetTimestamp());
            return ended;
        }
        catch (Exception e)
        {
            // An error of one sequence ends only this sequence.
            sequence.Fail(e);
            return true;
        }
    }

    private static bool Fail(Sequence sequence, OnnxRuntimeException e)
    {
        sequence.Fail(ExecutionSlots.IsClients(e) ? new InvalidRequestException(RunError.Clean(e.Message)) : e);
        return true;
    }

    private void Preempt(long id)
    {
        var row = RowOf(id);
        var sequence = rows.Running[row];
        rows.Remove(row, keep: true);
        sequence.OnPreempted();
        waiting.Add(sequence);
        statistics.RecordPreemption();
    }

    private void End(int row, bool keep)
    {
        var sequence = rows.Running[row];
        rows.Remove(row, keep);
        statistics.RecordEnd(sequence);
        Publish();
        sequence.Close();
    }

    private void Close(Sequence sequence, Exception error)
    {
        sequence.Fail(error);
        statistics.RecordEnd(sequence);
        sequence.Close();
    }

    /// <summary>
    /// Ends the sequences of a step that failed as a whole, for example because there was no memory for a larger
    /// cache. The next step starts with an empty cache.
    /// </summary>
    private void FailStep(Exception error)
    {
        List<Sequence> failed = [.. rows.Running];
        if (failed.Count == 0 && waiting.Count > 0) failed.Add(waiting.Take(waiting.All[0].Id));
        rows.Clear();
        foreach (var sequence in failed)
        {
            sequence.Fail(error);
            statistics.RecordEnd(sequence);
        }

        Publish();
        foreach (var sequence in failed) sequence.Close();
    }

    private void Publish() => statistics.Publish(rows.Running.Count, waiting, rows);
}
