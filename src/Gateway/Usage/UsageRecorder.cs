using System.Collections.Concurrent;
using Sluice.Dispatch;
using Sluice.Domain.Usage;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Tokens;
using Sluice.Storage.Background;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>
/// Counts in memory what requests used, and adds it to the ledger once a <see cref="Interval"/> and at shutdown. A
/// batch has a number and is repeated until Redis confirms it, so it counts once. A gateway that is killed loses the
/// usage of its requests since the last batch; the usage of jobs is stored with their results.
/// </summary>
public sealed class UsageRecorder(UsageLedger ledger, GatewayId gateway, TimeProvider time,
    ILogger<UsageRecorder> logger) : BackgroundLoop(time, logger)
{
    /// <summary>How late usage is in the ledger, and how much of it a killed gateway loses.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly TimeProvider time = time;
    private readonly ConcurrentDictionary<(string Endpoint, UsageRow Row), Entry> entries = new();
    private readonly Dictionary<string, Batch> unconfirmed = new(StringComparer.Ordinal);
    private readonly HashSet<string> registered = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim flushing = new(1);
    private long number;

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
            foreach (var (endpoint, rows) in TakeRows())
                unconfirmed[endpoint] = new Batch(++number, rows);
            if (unconfirmed.Count > 0) await SendAsync(ct);
        }
        finally
        {
            flushing.Release();
        }
    }

    public override void Dispose()
    {
        flushing.Dispose();
        base.Dispose();
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
                entry.Sums ??= new UsageSums();
                entry.Sums.Add(UsageQuantity.Requests, requests);
                entry.Sums.Add(UsageQuantity.Errors, errors);
                used.AddTo(entry.Sums);
                return;
            }
        }
    }

    /// <summary>
    /// Takes the sums of all endpoints without an unconfirmed batch. A row that had no usage since the last call is
    /// removed, so that rows of deleted keys do not stay.
    /// </summary>
    private Dictionary<string, List<(UsageRow Row, UsageSums Sums)>> TakeRows()
    {
        var taken = new Dictionary<string, List<(UsageRow, UsageSums)>>(StringComparer.Ordinal);
        foreach (var (key, entry) in entries)
        {
            if (unconfirmed.ContainsKey(key.Endpoint)) continue;
            UsageSums? sums;
            lock (entry)
            {
                sums = entry.Sums;
                entry.Sums = null;
                entry.IsRemoved = sums is null;
            }

            if (sums is null) entries.TryRemove(KeyValuePair.Create(key, entry));
            else if (taken.TryGetValue(key.Endpoint, out var rows)) rows.Add((key.Row, sums));
            else taken[key.Endpoint] = [(key.Row, sums)];
        }

        return taken;
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
            if (endpoint is not null) unconfirmed.Remove(endpoint);
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

    private sealed class Entry
    {
        public UsageSums? Sums { get; set; }

        public bool IsRemoved { get; set; }
    }

    private sealed record Batch(long Number, IReadOnlyCollection<(UsageRow Row, UsageSums Sums)> Rows);
}
