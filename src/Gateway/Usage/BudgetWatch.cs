using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Background;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>
/// Compares budgets with the ledger: sets what is used of those that count the time of workers, and sends projected
/// alerts. It also ends reservations of jobs that have ended or were deleted without a settlement. The leader does this
/// once an <see cref="Interval"/>.
/// </summary>
public sealed class BudgetWatch(BudgetStore store, UsageLedger ledger, ApiKeyCache keys, JobStore jobs,
    LeaderElection leader, TimeProvider time, ILogger<BudgetWatch> logger) : BackgroundLoop(time, logger)
{
    /// <summary>How late a budget of workers knows their time.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>The share of a window after which a projection is an alert. Earlier, one burst would be one.</summary>
    private const double ProjectAfter = 0.1;

    /// <summary>The age at which the job of a reservation is looked up. Its submission takes a few seconds.</summary>
    private static readonly TimeSpan JobAge = TimeSpan.FromMinutes(1);

    private const int MaxJobs = 1000;

    private readonly TimeProvider time = time;
    private volatile IReadOnlyList<BudgetUse> latest = [];

    /// <summary>All budgets as of the last comparison, which only the leader makes.</summary>
    public IReadOnlyList<BudgetUse> Latest => latest;

    /// <summary>Compares all budgets with the ledger.</summary>
    public async Task CheckAsync(CancellationToken ct)
    {
        var seen = new List<BudgetUse>();
        foreach (var budget in await store.ListAsync(ct))
        {
            try
            {
                seen.Add(new BudgetUse(budget, await UpdateAsync(budget, reads: budget.IsOfWorkers, ct)));
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                Failures.Report($"Checking budget {budget.Id}", e);
            }
        }

        latest = seen;
    }

    /// <summary>
    /// Ends reservations of jobs that have ended. A job that was cancelled (purged, for example) or deleted returns its
    /// reservation. That of another job counts as used: the gateway that ended it was killed before the settlement.
    /// </summary>
    /// <param name="age">The least age of a reservation.</param>
    /// <param name="ct">Cancels the work.</param>
    public async Task EndJobsAsync(TimeSpan age, CancellationToken ct)
    {
        foreach (var reservation in await store.OpenJobsAsync(age, MaxJobs, ct))
        {
            var (endpoint, id) = BudgetHold.JobOf(reservation);
            var job = await jobs.LookAsync(endpoint, id, null, ct, withOutput: false);
            if (job is null or { Status: JobStatus.Cancelled }) await store.ReturnAsync(reservation);
            else if (job.IsFinal) await store.KeepAsync(reservation);
        }
    }

    /// <summary>Updates a budget and returns its state.</summary>
    /// <param name="budget">The budget.</param>
    /// <param name="reads">Whether what is used is set to the sum of the ledger.</param>
    /// <param name="ct">Cancels the update.</param>
    public async Task<BudgetState> UpdateAsync(Budget budget, bool reads, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var length = budget.Window.End(now) - budget.Window.Begin(now);
        return await store.SetAsync(
            budget, reads ? await ReadAsync(budget, ct) : null, length * ProjectAfter, ct);
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(Interval, time);
        while (await timer.WaitForNextTickAsync(ct))
        {
            if (!leader.IsLeader) continue;
            await CheckAsync(ct);
            await EndJobsAsync(JobAge, ct);
        }
    }

    /// <summary>Returns the amount that the ledger has in the current window.</summary>
    private async Task<long> ReadAsync(Budget budget, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var prices = budget.Unit == BudgetUnit.Money ? await ledger.PricesAsync(ct) : PriceTable.Empty;
        var report = new UsageReport(
            prices, at => budget.Window.Begin(at), (endpoint, row) => Counts(budget, endpoint, row));
        IEnumerable<string> endpoints = budget.Scope == BudgetScope.Endpoint
            ? [budget.Target] : await ledger.EndpointsAsync(ct);
        var since = budget.Window.Begin(now);
        foreach (var endpoint in endpoints)
            foreach (var period in await ledger.ReadAsync(endpoint, since, budget.Window.End(now), ct))
                report.Add(period);
        return report.Lines.Sum(budget.AmountOf);
    }

    private IEnumerable<string?> Counts(Budget budget, string endpoint, UsageRow row)
    {
        var tags = keys.FindRecord(row.Key)?.Tags ?? Budget.NoTags;
        return budget.Counts(endpoint, row.Key, tags) ? [""] : [];
    }
}
