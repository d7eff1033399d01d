using Sluice.Storage.Background;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Records when keys were last used, once a <see cref="Interval"/> and at shutdown. A gateway that is killed loses the
/// uses since its last record.
/// </summary>
public sealed class KeyUseRecorder(
    KeyStore store, ApiKeyCache keys, TimeProvider time, ILogger<KeyUseRecorder> logger)
    : BackgroundLoop(time, logger)
{
    /// <summary>How late the time of a use may be recorded.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);

    /// <summary>The keys of one script, so that ten thousand keys do not occupy Redis for long.</summary>
    private const int Batch = 500;

    private readonly TimeProvider time = time;
    private readonly Dictionary<string, long> recorded = new(StringComparer.Ordinal);

    /// <summary>Records the uses since the last call.</summary>
    public async Task RecordAsync(CancellationToken ct)
    {
        var uses = keys.Uses().Where(u => recorded.GetValueOrDefault(u.Id) < u.UnixSeconds).ToList();
        foreach (var batch in uses.Chunk(Batch))
        {
            await store.RecordUseAsync(batch, ct);
            foreach (var (id, second) in batch) recorded[id] = second;
        }
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(ct)) await RecordAsync(ct);
        }
        finally
        {
            if (ct.IsCancellationRequested) await RecordLastAsync();
        }
    }

    private async Task RecordLastAsync()
    {
        try
        {
            await RecordAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(1), time);
        }
        catch (Exception e)
        {
            // Redis may be unavailable at shutdown.
            Failures.Report("Recording the last use of keys", e);
        }
    }
}
