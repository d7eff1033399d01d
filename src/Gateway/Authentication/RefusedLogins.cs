using System.Net;
using Sluice.Storage.Audit;
using Sluice.Storage.Background;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Counts requests that were refused because of their key, and writes them to the audit log once an
/// <see cref="Interval"/>: one entry for each client, key and reason, so that a client that guesses keys displaces few
/// entries.
/// </summary>
public sealed class RefusedLogins(AuditStore store, TimeProvider time, ILogger<RefusedLogins> logger)
    : BackgroundLoop(time, logger)
{
    /// <summary>How late refused logins may be recorded.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Clients, keys and reasons that are counted separately in an interval.</summary>
    internal const int MaxDistinct = 100;

    private const int MaxAction = 200;

    private static readonly (string, string, string) Others = ("others", "unknown", "");

    private readonly Lock gate = new();
    private readonly TimeProvider time = time;
    private Dictionary<(string From, string Reason, string Key), RefusedLogin> counts = [];

    /// <summary>Counts one request.</summary>
    /// <param name="from">The address of the client.</param>
    /// <param name="key">
    /// The result of the key lookup; <see cref="KeyVerdict.Valid"/>: its scope was too narrow.
    /// </param>
    /// <param name="keyId">The id of the key, as the request gave it, or an empty text.</param>
    /// <param name="action">Method and path of the request.</param>
    public void Count(IPAddress? from, KeyVerdict key, string keyId, string action)
    {
        var reason = key switch
        {
            KeyVerdict.Valid => "forbidden",
            KeyVerdict.Malformed => "malformed",
            KeyVerdict.Expired => "expired",
            KeyVerdict.SessionEnded => "session",
            _ => "unknown",
        };
        var place = (from?.ToString() ?? "", reason, keyId);
        lock (gate)
        {
            if (counts.Count >= MaxDistinct && !counts.ContainsKey(place)) place = Others;
            counts[place] = counts.TryGetValue(place, out var known)
                ? known with { Count = known.Count + 1 }
                : new RefusedLogin
                {
                    At = time.GetUtcNow(),
                    From = place.Item1,
                    Reason = place.Item2,
                    Key = place.Item3,
                    Action = action.Length <= MaxAction ? action : action[..MaxAction],
                    Count = 1,
                };
        }
    }

    /// <summary>Writes what was counted since the last call. What Redis does not store is counted again.</summary>
    public async Task RecordAsync(CancellationToken ct)
    {
        Queue<((string, string, string) Place, RefusedLogin Refused)> left;
        lock (gate)
        {
            left = new(counts.Select(c => (c.Key, c.Value)));
            counts = [];
        }

        try
        {
            while (left.TryPeek(out var next))
            {
                await store.AddAsync(next.Refused, ct);
                left.Dequeue();
            }
        }
        finally
        {
            Return(left);
        }
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(Interval, time);
        while (await timer.WaitForNextTickAsync(ct))
        {
            try
            {
                await RecordAsync(ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                Failures.Report("Recording refused logins", e);
            }
        }
    }

    private void Return(IEnumerable<((string, string, string) Place, RefusedLogin Refused)> left)
    {
        lock (gate)
        {
            foreach (var (place, refused) in left)
            {
                var later = counts.GetValueOrDefault(place)?.Count ?? 0;
                if (later > 0 || counts.Count < MaxDistinct)
                    counts[place] = refused with { Count = refused.Count + later };
            }
        }
    }
}
