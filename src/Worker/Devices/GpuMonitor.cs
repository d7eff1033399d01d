namespace Sluice.Worker.Devices;

/// <summary>
/// Reads the current state of the GPUs for metrics scrapes. nvidia-smi takes from 20 ms to its limit of 5 s, so only
/// one call runs at a time, on a separate thread, and all scrapes share its result. A scrape waits for a limited time
/// and then returns the last result.
/// </summary>
/// <param name="read">Runs nvidia-smi.</param>
/// <param name="visible">Value of CUDA_VISIBLE_DEVICES.</param>
/// <param name="time">The clock.</param>
internal sealed class GpuMonitor(Func<SmiAnswer> read, string? visible, TimeProvider time)
{
    /// <summary>
    /// Age up to which a result is not read again. nvidia-smi itself samples the utilization over 1/6 to 1 s.
    /// </summary>
    private static readonly TimeSpan FreshFor = TimeSpan.FromSeconds(2);

    /// <summary>Time that a scrape waits. Prometheus allows 10 s for a scrape.</summary>
    private static readonly TimeSpan ScrapeTimeout = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Age after which a result is not reported any more, because a constant line looks like a hanging GPU.
    /// </summary>
    private static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(30);

    /// <summary>Time after which nvidia-smi runs again if no GPU was found.</summary>
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private Task? reading;
    private IReadOnlyList<GpuFacts> known = [];
    private long? readAt;

    /// <summary>
    /// Returns the GPUs that this process sees. Empty if there is none, or if nvidia-smi does not answer.
    /// </summary>
    public async Task<IReadOnlyList<GpuFacts>> ReadAsync(CancellationToken ct)
    {
        Task answer;
        lock (gate)
        {
            if (Age() <= (known.Count > 0 ? FreshFor : RetryAfter)) return known;
            answer = reading ??= Task.Run(Read, CancellationToken.None);
        }

        using var waited = CancellationTokenSource.CreateLinkedTokenSource(ct);
        await Task.WhenAny(answer, Task.Delay(ScrapeTimeout, time, waited.Token));
        await waited.CancelAsync();
        lock (gate) return Age() <= MaxAge ? known : [];
    }

    /// <summary>
    /// Selects the GPUs that CUDA_VISIBLE_DEVICES names: by index up to the first that does not exist, by the prefix
    /// of a UUID, or by the UUID of a MIG instance. Indexes are those of nvidia-smi. CUDA's indexes are equal with
    /// CUDA_DEVICE_ORDER=PCI_BUS_ID, or if all GPUs are of one type.
    /// </summary>
    public static IReadOnlyList<GpuFacts> Visible(SmiAnswer answer, string? visible)
    {
        if (visible is null) return answer.Gpus;
        var seen = new List<GpuFacts>();
        foreach (var name in visible.Split(',', StringSplitOptions.TrimEntries))
        {
            var mig = answer.Mig.FirstOrDefault(m => m.Uuid == name);
            if (name.Length == 0) break;
            if (answer.Gpus.FirstOrDefault(g => IsNamed(g, name) || g.Index == mig?.Gpu) is not { } gpu) break;
            if (!seen.Contains(gpu)) seen.Add(gpu);
        }

        return seen;
    }

    private static bool IsNamed(GpuFacts gpu, string name) =>
        gpu.Index.ToString(System.Globalization.CultureInfo.InvariantCulture) == name
        || (name.StartsWith("GPU-", StringComparison.Ordinal) && gpu.Uuid.StartsWith(name, StringComparison.Ordinal));

    private void Read()
    {
        var answer = read();
        lock (gate) (known, readAt, reading) = (Visible(answer, visible), time.GetTimestamp(), null);
    }

    private TimeSpan Age() => readAt is { } at ? time.GetElapsedTime(at) : TimeSpan.MaxValue;
}
