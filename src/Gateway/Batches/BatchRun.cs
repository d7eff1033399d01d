using System.Collections.Concurrent;
using System.Text.Json;
using System.Threading.Channels;
using Sluice.Domain.Batches;
using Sluice.Storage.Batches;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Batches;

/// <summary>
/// Continues one batch from the state that Redis has, until it ends, or until another gateway owns it. Everything that
/// it does can be repeated by the next run.
/// </summary>
internal sealed class BatchRun(BatchServices services, BatchState batch, string token)
{
    /// <summary>The most results in one commit.</summary>
    private const int CommitAtOnce = 500;

    private readonly BatchRequest request = BatchRequest.Parse(batch.Request);
    private readonly Lock gate = new();
    private BatchLook look;
    private BatchStep step = BatchStep.Stop;
    private CancellationTokenSource? stepStop;

    /// <summary>Runs the batch. Returns when it has ended, or when another run owns it.</summary>
    /// <returns>The last status, or null if another run owns the batch.</returns>
    public async Task<string?> RunAsync(CancellationToken ct)
    {
        using var lost = CancellationTokenSource.CreateLinkedTokenSource(ct);
        if (await services.Store.CommitAsync(batch.Id, token, BatchCommit.Renewal, ct) is not { } first) return null;
        look = first;
        var renewing = RenewAsync(lost);
        try
        {
            while (true)
            {
                BatchStep next;
                using var stop = CancellationTokenSource.CreateLinkedTokenSource(lost.Token);
                lock (gate) (next, step, stepStop) = (Next(), Next(), stop);
                if (next == BatchStep.Stop) return look.Status;
                await DoAsync(next, stop.Token, lost.Token);
                if (await services.Store.CommitAsync(batch.Id, token, BatchCommit.Renewal, lost.Token) is not { } seen)
                    return null;
                lock (gate) (look, stepStop) = (seen, null);
            }
        }
        catch (BatchLostException)
        {
            return null;
        }
        catch (OperationCanceledException) when (lost.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            return null;
        }
        finally
        {
            lock (gate) stepStop = null;
            await lost.CancelAsync();
            await renewing;
        }
    }

    private BatchStep Next() => BatchPlan.Next(look.Status, look.Now, look.Expires);

    private async Task DoAsync(BatchStep next, CancellationToken stop, CancellationToken lost)
    {
        try
        {
            switch (next)
            {
                case BatchStep.Validate:
                    await ValidateAsync(stop);
                    break;
                case BatchStep.Run:
                    await RunLinesAsync(stop);
                    await MoveAsync([BatchStatus.InProgress], BatchStatus.Finalizing, stop);
                    break;
                case BatchStep.Complete:
                    await EndAsync([BatchStatus.Finalizing], BatchStatus.Completed, stop);
                    break;
                case BatchStep.Cancel:
                    await CancelLinesAsync(stop);
                    await EndAsync([BatchStatus.Cancelling], BatchStatus.Cancelled, stop);
                    break;
                case BatchStep.Expire:
                    await CancelLinesAsync(stop);
                    await ExpireLinesAsync(stop);
                    await EndAsync([BatchStatus.Validating, BatchStatus.InProgress], BatchStatus.Expired, stop);
                    break;
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested && !lost.IsCancellationRequested)
        {
            // The status changed, or the window ended: the next step follows.
        }
        catch (PayloadException e) when (e.Fault == PayloadFault.Lost)
        {
            // Another try would find the same, without an end.
            var errors = new BatchErrors([new BatchError("file_lost", e.Message, null, null)]);
            await MoveAsync([.. BatchStatus.All.Where(s => !BatchStatus.IsFinal(s))], BatchStatus.Failed, lost,
                ("errors", JsonSerializer.Serialize(errors, BatchJson.Default.BatchErrors)));
        }
    }

    /// <summary>Renews the lease, and stops the current step when another one is due.</summary>
    private async Task RenewAsync(CancellationTokenSource lost)
    {
        try
        {
            using var timer = new PeriodicTimer(BatchStore.Lease / 3, services.Time);
            while (await timer.WaitForNextTickAsync(lost.Token))
            {
                if (await services.Store.CommitAsync(batch.Id, token, BatchCommit.Renewal, lost.Token) is not { } seen)
                    break;
                await StopStepAsync(seen);
            }
        }
        catch (Exception e) when (e is OperationCanceledException || Storage.Redis.RedisErrors.Is(e))
        {
            // The run has ended, or Redis is not available: the lease ends, and a gateway continues the batch.
        }

        await lost.CancelAsync();
    }

    /// <summary>Records what a commit saw, and stops the current step if another one is due.</summary>
    private async Task StopStepAsync(BatchLook seen)
    {
        CancellationTokenSource? stop;
        lock (gate)
        {
            if (stepStop is null) return;
            look = seen;
            stop = Next() != step ? stepStop : null;
        }

        try
        {
            if (stop is not null) await stop.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // The step ended by itself.
        }
    }

    private async Task ValidateAsync(CancellationToken ct)
    {
        await using var file = await services.Blobs.OpenAsync(batch.InputBlob);
        var (lines, errors) = await BatchValidation.CheckAsync(file, request, services.Catalog.Current,
            services.Settings.MaxLines, ct);
        if (errors is null)
            await MoveAsync([BatchStatus.Validating], BatchStatus.InProgress, ct,
                ("total", lines.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        else await MoveAsync([BatchStatus.Validating], BatchStatus.Failed, ct,
            ("errors", JsonSerializer.Serialize(errors, BatchJson.Default.BatchErrors)));
    }

    /// <summary>Runs all lines that are not in the output, a bounded number at the same time.</summary>
    private async Task RunLinesAsync(CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using var slots = new SemaphoreSlim(services.Settings.InFlight);
        var running = new ConcurrentDictionary<Task, bool>();
        var results = Channel.CreateUnbounded<BatchResult>();
        await using var output = new BatchOutput(services.Store, services.Blobs, batch.Id, token);
        var committing = CommitAsync(output, results.Reader, slots, stop);
        try
        {
            await foreach (var line in OpenLinesAsync(stop.Token))
            {
                await slots.WaitAsync(stop.Token);
                var task = RunLineAsync(line, results.Writer, stop);
                running[task] = true;
                _ = task.ContinueWith(t => running.TryRemove(t, out _), TaskScheduler.Default);
            }

            // Each committed result returns its slot.
            for (var i = 0; i < services.Settings.InFlight; i++) await slots.WaitAsync(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            // A line or a commit failed; its exception follows.
        }
        finally
        {
            results.Writer.TryComplete();
            await Task.WhenAll([.. running.Keys]);
            await committing;
        }
    }

    private async Task RunLineAsync(BatchLine line, ChannelWriter<BatchResult> results, CancellationTokenSource stop)
    {
        try
        {
            TimeSpan left;
            lock (gate) left = look.Expires - look.Now;
            results.TryWrite(await services.Lines.RunAsync(batch, request, line, left, stop.Token));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The line runs again in a later step or run.
        }
        catch (Exception e)
        {
            results.TryComplete(e);
            await stop.CancelAsync();
        }
    }

    private async Task CommitAsync(BatchOutput output, ChannelReader<BatchResult> results, SemaphoreSlim slots,
        CancellationTokenSource stop)
    {
        try
        {
            var group = new List<BatchResult>();
            while (await results.WaitToReadAsync(stop.Token))
            {
                group.Clear();
                while (group.Count < CommitAtOnce && results.TryRead(out var result)) group.Add(result);
                await CommitAsync(output, group, stop.Token);
                await services.Lines.DeleteAsync(group.Select(r => r.Job).OfType<Domain.Jobs.Job>(), stop.Token);
                slots.Release(group.Count);
            }
        }
        catch
        {
            await stop.CancelAsync();
            throw;
        }
    }

    private static async Task CommitAsync(BatchOutput output, List<BatchResult> group, CancellationToken ct)
    {
        if (group.Count > 0 && await output.CommitAsync(group, ct) is null) throw new BatchLostException();
    }

    /// <summary>Cancels the jobs of lines that may be in flight: the first ones that are not in the output.</summary>
    private async Task CancelLinesAsync(CancellationToken ct)
    {
        var left = services.Settings.InFlight;
        await foreach (var line in OpenLinesAsync(ct))
        {
            await services.Lines.CancelAsync(batch.Id, line, ct);
            if (--left == 0) break;
        }
    }

    /// <summary>Writes an error for each line that is not in the output.</summary>
    private async Task ExpireLinesAsync(CancellationToken ct)
    {
        if (look.Status == BatchStatus.Validating) return;
        await using var output = new BatchOutput(services.Store, services.Blobs, batch.Id, token);
        var group = new List<BatchResult>();
        await foreach (var line in OpenLinesAsync(ct))
        {
            group.Add(BatchResult.Failed(batch.Id, line.Number, line.CustomId, "batch_expired",
                $"The line did not end within the completion window of {request.CompletionWindow}."));
            if (group.Count < CommitAtOnce) continue;
            await CommitAsync(output, group, ct);
            group.Clear();
        }

        await CommitAsync(output, group, ct);
    }

    /// <summary>Reads the lines that are not in the output.</summary>
    private async IAsyncEnumerable<BatchLine> OpenLinesAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        var done = await services.Store.DoneAsync(batch.Id, ct);
        await using var file = await services.Blobs.OpenAsync(batch.InputBlob);
        await foreach (var line in BatchInput.ReadAsync(file, BatchSettings.MaxLineBytes, ct))
        {
            if (!BatchPlan.IsDone(done, line.Number)
                && BatchLine.Read(line.Json, line.Number, request.Endpoint, out _) is { } read) yield return read;
        }
    }

    /// <summary>Writes the files of the output, and ends the batch.</summary>
    private async Task EndAsync(IReadOnlyList<string> from, string to, CancellationToken ct)
    {
        var (output, errors) = await services.Store.PartsAsync(batch.Id, ct);
        var fields = new List<(string, string)>();
        if (await services.Files.WriteAsync(batch, request, output, "output", ct) is { } file)
            fields.Add(("output", file));
        if (await services.Files.WriteAsync(batch, request, errors, "error", ct) is { } errorFile)
            fields.Add(("error", errorFile));
        if (!await MoveAsync(from, to, ct, [.. fields])) return;
        foreach (var part in output.Concat(errors)) services.Blobs.Delete(part.Reference);
    }

    private async Task<bool> MoveAsync(IReadOnlyList<string> from, string to, CancellationToken ct,
        params (string, string)[] fields) =>
        await services.Store.MoveAsync(batch.Id, token, from, to, ct, fields) is { Moved: true };
}

/// <summary>Another run owns the batch, or Redis lost a commit of this run.</summary>
internal sealed class BatchLostException : Exception;
