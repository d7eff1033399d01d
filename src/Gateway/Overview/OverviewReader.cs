using Sluice.ControlPlane.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Nodes;
using Sluice.Domain.Series;
using Sluice.Domain.Usage;
using Sluice.Domain.UserPods;
using Sluice.Gateway.UserPods;
using Sluice.Shared;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Storage.Usage;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.Overview;

/// <summary>
/// Reads the overview. All readers of this gateway share one reading, which is repeated after <see cref="Interval"/> at
/// the earliest. With very many endpoints, it takes at most a tenth of the time.
/// </summary>
public sealed class OverviewReader(
    CatalogWatcher catalog,
    WorkerSlotStore slots,
    PodStore pods,
    GpuStore claims,
    FleetNodes nodes,
    SeriesReader series,
    UsageLedger ledger,
    UserPodCatalog userPods,
    TimeProvider time)
{
    /// <summary>How old an overview may be.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    /// <summary>The steps of 10 s of which rates are the mean.</summary>
    private const int Steps = 3;

    private static readonly Dictionary<string, UserPodUtilization> NothingMeasured = [];

    private readonly Lock gate = new();
    private Task<OverviewView>? reading;
    private long startedAt;
    private TimeSpan took;

    /// <summary>Returns the overview, at most <see cref="Interval"/> old.</summary>
    public Task<OverviewView> ReadAsync(CancellationToken ct)
    {
        lock (gate)
        {
            var age = time.GetElapsedTime(startedAt);
            if (reading is null || reading.IsFaulted || (reading.IsCompleted && age >= Interval && age >= 10 * took))
            {
                startedAt = time.GetTimestamp();
                reading = MakeAsync();
            }

            return reading.WaitAsync(ct);
        }
    }

    private async Task<OverviewView> MakeAsync()
    {
        var began = time.GetTimestamp();
        var ct = CancellationToken.None;
        var rates = await series.ReadLatestAsync(Steps, ct);
        var prices = await ledger.PricesAsync(ct);
        var reads = catalog.Current.Deployments.Select(
            d => ReadAsync(d, rates.GetValueOrDefault(d.Endpoint.Id), prices, ct));
        var (endpoints, unpriced) = Split(await Task.WhenAll(reads));
        var used = (await claims.ListAsync(ct)).SelectMany(c => c.Devices).Select(d => d.Uuid).ToHashSet();
        var fleet = await nodes.ReadAsync(ct);
        var inventory = FleetInventory.Merge(fleet, new HashSet<string>()).Inventory;
        var gpus = inventory.Gpus;
        var all = new SeriesCounts();
        foreach (var counts in rates.Values) all.AddEndpoint(counts);
        var view = new OverviewView(
            time.GetUtcNow(), ProductVersion.Number, await pods.CountHostsAsync(time.GetUtcNow(), ct),
            endpoints.SelectMany(e => e.Workers).GroupBy(w => w.Key).ToDictionary(g => g.Key, g => g.Sum(w => w.Value)),
            new OverviewGpus(gpus.Count, gpus.Count(g => used.Contains(g.Uuid)
                || g.Slices.Any(s => used.Contains(s.Uuid)))),
            endpoints.Sum(e => e.Queued), endpoints.Sum(e => e.Running), PerSecond(all.Requests),
            PerSecond(all.Errors), PerSecond(all.Tokens), all.Total.Quantile(0.5), all.Total.Quantile(0.95),
            prices.Prices.Count == 0 ? null : endpoints.Sum(e => e.CostPerHour ?? 0), prices.Currency, unpriced,
            Sum(userPods.All, new UserPodFigures(prices, inventory, NothingMeasured, time.GetUtcNow()),
                prices.Prices.Count > 0),
            [.. endpoints.OrderBy(e => e.Id, StringComparer.Ordinal)]);
        lock (gate) took = time.GetElapsedTime(began);
        return view;
    }

    private static (IReadOnlyList<OverviewEndpoint> Endpoints, int Unpriced) Split(
        (OverviewEndpoint Endpoint, int Unpriced)[] read) =>
        ([.. read.Select(r => r.Endpoint)], read.Sum(r => r.Unpriced));

    private async Task<(OverviewEndpoint Endpoint, int Unpriced)> ReadAsync(
        Deployment deployment, SeriesCounts? rates, PriceTable prices, CancellationToken ct)
    {
        var id = deployment.Endpoint.Id;
        var reading = slots.SnapshotAsync(id, ct);
        var listing = pods.ListAsync(id, ct);
        var blocked = await slots.WhyBlockedAsync(id, ct);
        var (snapshot, known) = (await reading, await listing);
        // The same workers as those whose time the leader counts.
        var (cost, unpriced) = prices.Sum(
            known.Where(p => p.State != PodState.Failed).Select(p => p.Gpu ?? ""), time.GetUtcNow());
        return (new OverviewEndpoint(
            id, deployment.Template.Name, deployment.Endpoint.Public,
            known.GroupBy(p => p.State).ToDictionary(g => NameOf(g.Key), g => g.Count()),
            snapshot.Queued, snapshot.Busy, PerSecond(rates?.Requests ?? 0), PerSecond(rates?.Errors ?? 0),
            rates?.Total.Quantile(0.95), cost, blocked?.Reason), unpriced);
    }

    private static OverviewPods Sum(IReadOnlyList<UserPodEntry> all, UserPodFigures figures, bool hasPrices)
    {
        var up = all.Where(p => p.State.IsUp || p.State.Devices.Count > 0).Select(figures.CostOf).ToList();
        return new OverviewPods(up.Count, hasPrices ? up.Sum(c => c ?? 0) : null,
            hasPrices ? up.Count(c => c is null) : up.Count);
    }

    private static double PerSecond(long count) =>
        Math.Round(count / (double)(Steps * SeriesResolution.Fine.StepSeconds), 3);

    private static string NameOf(PodState state) => state.ToString().ToLowerInvariant();
}
