using System.Globalization;
using Sluice.Domain.Fleet;

namespace Sluice.Models.Cache;

/// <summary>
/// Counts the bytes of a download over its files, and reports them, at most once per second.
/// </summary>
/// <param name="source">The source.</param>
/// <param name="report">Receives the progress.</param>
/// <param name="time">The clock.</param>
internal sealed class DownloadProgress(string source, Action<StartProgress> report, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, long> received = [];
    private long? reportedAt;

    /// <summary>Bytes of all files that are stored.</summary>
    public long Received => received.Values.Sum();

    /// <summary>Bytes of all files; 0: not known yet.</summary>
    public long Total { get; set; }

    /// <summary>Records the stored bytes of a file.</summary>
    public void Record(string path, long bytes)
    {
        received[path] = bytes;
        if (reportedAt is { } last && time.GetElapsedTime(last) < Interval) return;
        reportedAt = time.GetTimestamp();
        Report(Describe(), path);
    }

    /// <summary>Reports another step of the delivery.</summary>
    public void Report(string step) => Report(step, null);

    private void Report(string step, string? file) => report(new StartProgress($"model {source}: {step}",
        new ModelTransfer(source, file, Received, Total > 0 ? Total : null)));

    private string Describe() => Total > 0
        ? $"downloading, {Math.Min(100, Received * 100 / Total)} % of {Size(Total)}"
        : $"downloading, {Size(Received)}";

    /// <summary>Formats a size, for example <c>1.2 GiB</c>.</summary>
    public static string Size(long bytes) => bytes switch
    {
        >= 1L << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 30):0.0} GiB"),
        >= 1 << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 20):0.0} MiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:0.0} KiB"),
    };
}
