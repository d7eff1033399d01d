using System.Collections.Concurrent;
using Sluice.Dispatch;
using Sluice.Domain.Usage;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Tokens;
using Sluice.Storage.Background;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>
/// Counts what requests used in a file of the process (<see cref="UsageFile"/>), and adds it to the ledger once a
/// <see cref="Interval"/> and at shutdown. A batch has a number and is repeated until Redis confirms it, so it counts
/// once. The next process with the same data folder counts what a process left that was killed; the usage of jobs is
/// stored with their results. Without a file, a process that is killed loses the usage since the last batch.
/// </summary>
public sealed partial class UsageRecorder : BackgroundLoop
{
    /// <summary>How late usage is in the ledger.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly UsageLedger ledger;
    private readonly GatewayId gateway;
    private readonly TimeProvider time;
    private readonly ILogger<UsageRecorder> logger;
    private readonly ConcurrentDictionary<(string Endpoint, UsageRow Row), Entry> entries = new();
    private readonly Dictionary<string, Batch> unconfirmed = new(StringComparer.Ordinal);
    private readonly HashSet<string> registered = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim flushing = new(1);

    /// <summary>Files of earlier processes.</summary>
    private readonly Queue<string> left = new();

    /// <summary>Guards the file. Its sums are guarded by their entries.</summary>
    private readonly Lock gate = new();
    private readonly UsageFile? file;
    private long number;
    private bool isDisposed;

    public UsageRecorder(UsageLedger ledger, UsageFolder folder, GatewayId gateway, TimeProvider time,
        ILogger<UsageRecorder> logger)
        : base(time, logger)
    {
        (this.ledger, this.gateway, this.time, this.logger) = (ledger, gateway, time, logger);
        try
        {
            foreach (var path in folder.FindLeft()) left.Enqueue(path);
            file = folder.Create(gateway.Value);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            UsageOnlyInMemory(e.Message);
        }
    }

    /// <summary>Counts a request that ended. A request that no worker received counts nothing.</summary>
    /// <param name="state">The request.</param>
    /// <param name="outcome">Its outcome.</param>
    /// <param name="status">The status of the response.</param>
    /// <param name="tokens">The tokens that it used.</param>
    /// <param name="wasted">The generated tokens that the client did not get.</param>
    /// <returns>What it used.</returns>
    public WorkUsage Add(ForwardState state, ForwardOutcome outcome, int status, TokenUsage tokens, long wasted)
    {
        if (state.Attempts == 0) return default;
        var row = new UsageRow(
            state.Flow, UsageModels.Find(state.Endpoint, state.Model, state.Target), state.Worker?.Gpu ?? "");
        var used = new WorkUsage(row) { BytesIn = state.BytesIn, BytesOut = state.BytesOut, Busy = state.Busy }
            .WithTokens(tokens.Prompt, tokens.Cached, tokens.Generated, wasted);
        var hasFailed = outcome switch
        {
            ForwardOutcome.Answered => status >= StatusCodes.Status400BadRequest,
            ForwardOutcome.ClientGone => false,
            _ => true,
        };
        Add(state.Endpoint.Id, used, 1, hasFailed ? 1 : 0);
        return used;
    }

    /// <summary>Counts what an attempt of a job used that did not end the job.</summary>
    public void Add(string endpointId, WorkUsage used)
    {
        if (used.Of.Key is { Length: > 0 }) Add(endpointId, used, 0, 0);
    }

    /// <summary>Adds the usage since the last call to the ledger, and batches whose reply was lost.</summary>
    public async Task FlushAsync(CancellationToken ct)
    {
        await flushing.WaitAsync(ct);
        try
        {
            TakeBatches();
            if (unconfirmed.Count > 0) await SendAsync(ct);
            if (left.Count > 0) await SendLeftAsync(ct);
        }
        finally
        {
            flushing.Release();
        }
    }

    /// <summary>Stops the loop. The file is deleted, unless the ledger has not confirmed all of it.</summary>
    public override void Dispose()
    {
        base.Dispose();
        flushing.Dispose();
        lock (gate)
        {
            if (isDisposed) return;
            isDisposed = true;
            if (entries.Values.Any(e => e.Slot is { } slot && (slot.Batch ?? slot.Next) is not null)) file?.Dispose();
            else file?.Delete();
        }
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(ct)) await FlushAsync(ct);
        }
        finally
        {
            if (ct.IsCancellationRequested) await FlushLastAsync();
        }
    }

    private void Add(string endpointId, in WorkUsage used, int requests, int errors)
    {
        while (true)
        {
            var entry = entries.GetOrAdd((endpointId, used.Of), static _ => new Entry());
            lock (entry)
            {
                if (entry.IsRemoved) continue;
                var slot = entry.Slot ??= TakeSlot(endpointId, used.Of);
                slot.Add(UsageQuantity.Requests, requests);
                slot.Add(UsageQuantity.Errors, errors);
                used.AddTo(slot);
                return;
            }
        }
    }

    private UsageSlot TakeSlot(string endpointId, UsageRow row)
    {
        lock (gate) return file?.TryTake(endpointId, row) ?? new UsageSlot();
    }

    /// <summary>
    /// Takes the sums of all endpoints without an unconfirmed batch. A row that had no usage since the last call is
    /// removed, so that rows of deleted keys do not stay.
    /// </summary>
    private void TakeBatches()
    {
        if (entries.IsEmpty) return;
        number++;
        lock (gate) file?.BeginBatch(number, time.GetUtcNow());
        var taken = new Dictionary<string, Batch>(StringComparer.Ordinal);
        foreach (var (key, entry) in entries)
        {
            if (unconfirmed.ContainsKey(key.Endpoint)) continue;
            UsageSums? sums;
            lock (entry)
            {
                sums = entry.Slot?.Take(number);
                entry.IsRemoved = sums is null;
            }

            if (sums is null) Remove(key, entry);
            else
            {
                if (!taken.TryGetValue(key.Endpoint, out var batch))
                    taken[key.Endpoint] = batch = new Batch(number, [], []);
                batch.Rows.Add((key.Row, sums));
                batch.Entries.Add(entry);
            }
        }

        foreach (var (endpoint, batch) in taken) unconfirmed[endpoint] = batch;
    }

    private void Remove((string Endpoint, UsageRow Row) key, Entry entry)
    {
        entries.TryRemove(KeyValuePair.Create(key, entry));
        lock (gate)
            if (entry.Slot is { } slot) file?.Free(slot);
    }

    private async Task SendAsync(CancellationToken ct)
    {
        var unknown = unconfirmed.Keys.Where(e => !registered.Contains(e)).ToList();
        if (unknown.Count > 0)
        {
            await ledger.RegisterAsync(unknown, ct).WaitAsync(Patience, time, ct);
            registered.UnionWith(unknown);
        }

        var sends = unconfirmed.Select(async pair =>
        {
            var (endpoint, batch) = pair;
            try
            {
                await ledger.AddAsync(endpoint, gateway.Value, batch.Number, batch.Rows, ct)
                    .WaitAsync(Patience, time, ct);
                return endpoint;
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                Failures.Report($"Storing the usage of endpoint {endpoint}", e);
                return null;
            }
        });
        foreach (var endpoint in await Task.WhenAll(sends))
            if (endpoint is not null && unconfirmed.Remove(endpoint, out var batch)) Confirm(batch);
    }

    private static void Confirm(Batch batch)
    {
        foreach (var entry in batch.Entries)
            lock (entry) entry.Slot!.Confirm();
    }

    /// <summary>Counts what earlier processes left. What fails is repeated by the next call.</summary>
    private async Task SendLeftAsync(CancellationToken ct)
    {
        while (left.TryPeek(out var path))
        {
            try
            {
                await SendLeftAsync(path, ct);
                left.Dequeue();
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                Failures.Report($"Storing the usage in {path}", e);
                return;
            }
        }
    }

    private async Task SendLeftAsync(string path, CancellationToken ct)
    {
        using var found = UsageFile.Open(path);
        if (found is null)
        {
            UsageFileNotRead(path);
            return;
        }

        var isKnown = time.GetUtcNow() - found.LastChange < UsageLedger.AppliedKept / 2;
        var batches = LeftUsage.Find(found.Rows, found.LastNumber, isKnown);
        if (batches.Count > 0)
            await ledger.RegisterAsync(batches.Select(b => b.Endpoint), ct).WaitAsync(Patience, time, ct);
        foreach (var batch in batches)
            await ledger.AddAsync(batch.Endpoint, found.Gateway, batch.Number, batch.Rows, ct)
                .WaitAsync(Patience, time, ct);
        found.Delete();
        UsageRecovered(batches.Sum(b => b.Rows.Sum(r => r.Sums[UsageQuantity.Requests])), path);
    }

    private async Task FlushLastAsync()
    {
        try
        {
            // The first call repeats what is unconfirmed; the second one stores what had to wait for it.
            await FlushAsync(CancellationToken.None).WaitAsync(Patience, time);
            await FlushAsync(CancellationToken.None).WaitAsync(Patience, time);
        }
        catch (Exception e)
        {
            // Redis may be unavailable at shutdown.
            Failures.Report("Storing the last usage", e);
        }
    }

    [LoggerMessage(LogLevel.Warning,
        "A gateway that is killed loses the usage of its requests of the last second, because its file cannot be "
        + "created: {Error}")]
    private partial void UsageOnlyInMemory(string error);

    [LoggerMessage(LogLevel.Warning, "The usage in {File} was not counted: another version of the gateway wrote it")]
    private partial void UsageFileNotRead(string file);

    [LoggerMessage(LogLevel.Information,
        "The usage that an earlier gateway left in {File} is counted, with {Requests} requests that it had not sent "
        + "or whose confirmation it had not read")]
    private partial void UsageRecovered(long requests, string file);

    /// <summary>The sums of a row. It is locked while they are changed.</summary>
    private sealed class Entry
    {
        public UsageSlot? Slot { get; set; }

        public bool IsRemoved { get; set; }
    }

    private sealed record Batch(long Number, List<(UsageRow Row, UsageSums Sums)> Rows, List<Entry> Entries);
}
