namespace Sluice.Worker.Doctor;

/// <summary>
/// What the GPUs do now, for who scrapes metrics. nvidia-smi takes from 20 ms to its limit of 5 s, so one question at a time is asked, on a thread
/// of its own, for whoever wants to know; a scrape waits for its answer only so long, and then tells what is known. Owner of the last answer.
/// </summary>
/// <param name="ask">Asks nvidia-smi.</param>
/// <param name="visible">CUDA_VISIBLE_DEVICES.</param>
/// <param name="time">The clock.</param>
internal sealed class GpuMonitor(Func<SmiAnswer> ask, string? visible, TimeProvider time)
{
    /// <summary>An answer this young is as good as a new one: nvidia-smi's own sample of the utilisation is between 1/6 and 1 s long.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(2);

    /// <summary>How long a scrape waits. Prometheus gives one 10 s.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>An older answer is told no more: a line that stands still looks like a GPU that does.</summary>
    private static readonly TimeSpan Kept = TimeSpan.FromSeconds(30);

    /// <summary>Where no GPU was found, asked again after this.</summary>
    private static readonly TimeSpan Again = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private Task? asking;
    private IReadOnlyList<GpuFacts> known = [];
    private long? heard;

    /// <summary>GPUs that this process sees, with what is told of them; empty where there is none, or none that answers.</summary>
    public async Task<IReadOnlyList<GpuFacts>> LookAsync(CancellationToken ct)
    {
        Task answer;
        lock (gate)
        {
            if (Age() <= (known.Count > 0 ? Fresh : Again)) return known;
            answer = asking ??= Task.Run(Ask, CancellationToken.None);
        }

        using var waited = CancellationTokenSource.CreateLinkedTokenSource(ct);
        await Task.WhenAny(answer, Task.Delay(Patience, time, waited.Token));
        await waited.CancelAsync();
        lock (gate) return Age() <= Kept ? known : [];
    }

    /// <summary>Of all GPUs those that CUDA_VISIBLE_DEVICES names: by index up to the first that does not exist, by the beginning of a UUID, or by
    /// a MIG instance's. Indexes are nvidia-smi's; CUDA's are the same with CUDA_DEVICE_ORDER=PCI_BUS_ID, and where all GPUs are of one kind.</summary>
    public static IReadOnlyList<GpuFacts> Visible(SmiAnswer answer, string? visible)
    {
        if (visible is null) return answer.Gpus;
        var seen = new List<GpuFacts>();
        foreach (var name in visible.Split(',', StringSplitOptions.TrimEntries))
        {
            var mig = answer.Mig.FirstOrDefault(m => m.Uuid == name);
            if (name.Length == 0 || answer.Gpus.FirstOrDefault(g => g.Index.ToString(System.Globalization.CultureInfo.InvariantCulture) == name
                || (name.StartsWith("GPU-", StringComparison.Ordinal) && g.Uuid.StartsWith(name, StringComparison.Ordinal)) || g.Index == mig?.Gpu) is not { } gpu) break;
            if (!seen.Contains(gpu)) seen.Add(gpu);
        }

        return seen;
    }

    private void Ask()
    {
        var answer = ask();
        lock (gate) (known, heard, asking) = (Visible(answer, visible), time.GetTimestamp(), null);
    }

    private TimeSpan Age() => heard is { } at ? time.GetElapsedTime(at) : TimeSpan.MaxValue;
}
