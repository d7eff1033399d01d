namespace Sluice.Domain.Gpus;

/// <summary>
/// The connections between GPUs as comparable ranks. Any number of NVLinks ranks higher than any PCIe connection.
/// </summary>
internal sealed class GpuTopology
{
    /// <summary>Minimum rank of an NVLink connection. The number of links is added to it.</summary>
    public const int NvLink = 1000;

    /// <summary>
    /// Maximum number of combinations that are all evaluated, for example 12,870 for 8 of 16 GPUs. Above it (more than
    /// 16 GPUs), only the best neighbors of each GPU are evaluated.
    /// </summary>
    private const int MaxChoices = 13_000;

    private readonly Dictionary<(int, int), int> ranks = [];
    private readonly Dictionary<int, List<Device>> linked = [];

    public GpuTopology(IReadOnlyList<GpuLink> links, IReadOnlyDictionary<string, Device> devices)
    {
        foreach (var link in links)
        {
            if (!devices.TryGetValue(link.A, out var a) || !devices.TryGetValue(link.B, out var b)) continue;
            var rank = link.Kind == LinkKind.NV ? NvLink + link.NvLinks : (int)link.Kind;
            ranks[(a.Order, b.Order)] = ranks[(b.Order, a.Order)] = Math.Max(rank, Rank(a, b));
            if (link.Kind != LinkKind.NV) continue;
            Neighbors(a).Add(b);
            Neighbors(b).Add(a);
        }

        List<Device> Neighbors(Device device) =>
            linked.TryGetValue(device.Order, out var list) ? list : linked[device.Order] = [];
    }

    /// <summary>
    /// Returns the devices in groups that are connected by NVLinks, directly or through other devices.
    /// </summary>
    public List<List<Device>> Linked(IReadOnlyList<Device> devices)
    {
        var left = devices.ToHashSet();
        var groups = new List<List<Device>>();
        foreach (var first in devices)
        {
            if (!left.Remove(first)) continue;
            var group = new List<Device> { first };
            for (var i = 0; i < group.Count; i++)
                foreach (var next in linked.GetValueOrDefault(group[i].Order, []))
                    if (left.Remove(next)) group.Add(next);
            group.Sort((a, b) => a.Order.CompareTo(b.Order));
            groups.Add(group);
        }

        return groups;
    }

    /// <summary>Returns the highest rank of a connection between two of the devices.</summary>
    public int BestPair(IReadOnlyList<Device> devices)
    {
        var best = 0;
        for (var a = 0; a < devices.Count; a++)
            for (var b = a + 1; b < devices.Count; b++) best = Math.Max(best, Rank(devices[a], devices[b]));
        return best;
    }

    /// <summary>
    /// Chooses <paramref name="count"/> devices. Criteria in this order: the highest rank of the weakest connection,
    /// the highest sum of ranks, the fewest free devices left in their NVLink groups, the first devices.
    /// </summary>
    /// <param name="free">Devices to choose from, at least <paramref name="count"/>.</param>
    /// <param name="count">Number of devices.</param>
    /// <param name="freeIn">Returns the number of free devices in a group.</param>
    public (IReadOnlyList<Device> Devices, int Rank, int Sum) Best(
        IReadOnlyList<Device> free, int count, Func<DeviceGroup, int> freeIn)
    {
        var rank = new int[free.Count, free.Count];
        var (least, most) = (int.MaxValue, 0);
        for (var a = 0; a < free.Count; a++)
            for (var b = a + 1; b < free.Count; b++)
            {
                rank[a, b] = rank[b, a] = Rank(free[a], free[b]);
                (least, most) = (Math.Min(least, rank[a, b]), Math.Max(most, rank[a, b]));
            }

        var choices = least == most ? [[.. Enumerable.Range(0, count)]]
            : Choices(free.Count, count) <= MaxChoices ? Every(free.Count, count)
            : Nearest(rank, count);
        (int[] Members, (int Least, int Sum, int Left) Score)? best = null;
        foreach (var members in choices)
        {
            var score = Score(members);
            if (best is null || score.CompareTo(best.Value.Score) > 0) best = (members, score);
        }

        return ([.. best!.Value.Members.Select(m => free[m])], best.Value.Score.Least, best.Value.Score.Sum);

        (int, int, int) Score(int[] members)
        {
            var (weakest, sum) = (int.MaxValue, 0);
            for (var i = 0; i < members.Length; i++)
                for (var j = i + 1; j < members.Length; j++)
                {
                    weakest = Math.Min(weakest, rank[members[i], members[j]]);
                    sum += rank[members[i], members[j]];
                }

            return (weakest, sum, -members.Select(m => free[m].Group).Distinct().Sum(freeIn));
        }
    }

    private int Rank(Device a, Device b) => ranks.GetValueOrDefault((a.Order, b.Order));

    /// <summary>Returns the binomial coefficient, or any number above <see cref="MaxChoices"/>.</summary>
    private static long Choices(int n, int k)
    {
        var choices = 1L;
        for (var i = 1; i <= k && choices <= MaxChoices * 100L; i++) choices = choices * (n - k + i) / i;
        return choices;
    }

    /// <summary>Returns every combination of k of n indexes.</summary>
    private static IEnumerable<int[]> Every(int n, int k)
    {
        var chosen = Enumerable.Range(0, k).ToArray();
        while (true)
        {
            yield return [.. chosen];
            var i = k - 1;
            while (i >= 0 && chosen[i] == n - k + i) i--;
            if (i < 0) yield break;
            chosen[i]++;
            for (var j = i + 1; j < k; j++) chosen[j] = chosen[j - 1] + 1;
        }
    }

    /// <summary>
    /// Returns one combination per GPU. It starts with the GPU and repeatedly adds the GPU whose weakest connection to
    /// the chosen ones is the best.
    /// </summary>
    private static IEnumerable<int[]> Nearest(int[,] rank, int count)
    {
        var n = rank.GetLength(0);
        for (var first = 0; first < n; first++)
        {
            var chosen = new List<int> { first };
            while (chosen.Count < count)
                {
                    var rest = Enumerable.Range(0, n).Except(chosen);
                    chosen.Add(rest.MaxBy(x => (chosen.Min(c => rank[c, x]), chosen.Sum(c => rank[c, x]), -x)));
                }
            yield return [.. chosen.Order()];
        }
    }
}
