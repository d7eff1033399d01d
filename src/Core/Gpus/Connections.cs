namespace Sluice.Core.Gpus;

/// <summary>How GPUs reach each other, as numbers that compare: any number of NVLinks before any way over PCIe.</summary>
internal sealed class Connections
{
    /// <summary>The rank from which on a connection is made of NVLinks; above it, their number counts.</summary>
    public const int NvLink = 1000;

    /// <summary>Choices that are all looked at; of more (over 16 GPUs) each GPU's best neighbours are. 12,870 are 8 of 16.</summary>
    private const int MaxChoices = 13_000;

    private readonly Dictionary<(int, int), int> ranks = [];
    private readonly Dictionary<int, List<Device>> linked = [];

    public Connections(IReadOnlyList<GpuLink> links, IReadOnlyDictionary<string, Device> devices)
    {
        foreach (var link in links)
        {
            if (!devices.TryGetValue(link.A, out var a) || !devices.TryGetValue(link.B, out var b)) continue;
            var rank = link.Kind == LinkKind.NV ? NvLink + link.NvLinks : (int)link.Kind;
            ranks[(a.Order, b.Order)] = ranks[(b.Order, a.Order)] = Math.Max(rank, Rank(a, b));
            if (link.Kind != LinkKind.NV) continue;
            Neighbours(a).Add(b);
            Neighbours(b).Add(a);
        }

        List<Device> Neighbours(Device device) => linked.TryGetValue(device.Order, out var list) ? list : linked[device.Order] = [];
    }

    /// <summary>These devices in groups that NVLinks connect, directly or over others of them.</summary>
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

    public int BestPair(IReadOnlyList<Device> devices)
    {
        var best = 0;
        for (var a = 0; a < devices.Count; a++)
            for (var b = a + 1; b < devices.Count; b++) best = Math.Max(best, Rank(devices[a], devices[b]));
        return best;
    }

    /// <summary>
    /// The <paramref name="count"/> devices whose weakest connection is the best, then those with the best sum, then those that leave the fewest
    /// of their NVLink groups behind, then the first.
    /// </summary>
    /// <param name="free">Devices to choose from, at least <paramref name="count"/>.</param>
    /// <param name="count">How many.</param>
    /// <param name="freeIn">Devices of a group that are free.</param>
    public (IReadOnlyList<Device> Devices, int Rank, int Sum) Best(IReadOnlyList<Device> free, int count, Func<DeviceGroup, int> freeIn)
    {
        var rank = new int[free.Count, free.Count];
        var (least, most) = (int.MaxValue, 0);
        for (var a = 0; a < free.Count; a++)
            for (var b = a + 1; b < free.Count; b++)
            {
                rank[a, b] = rank[b, a] = Rank(free[a], free[b]);
                (least, most) = (Math.Min(least, rank[a, b]), Math.Max(most, rank[a, b]));
            }

        var choices = least == most ? [[.. Enumerable.Range(0, count)]] : Choices(free.Count, count) <= MaxChoices ? Every(free.Count, count) : Nearest(rank, count);
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

    /// <summary>n over k, or any number above <see cref="MaxChoices"/>.</summary>
    private static long Choices(int n, int k)
    {
        var choices = 1L;
        for (var i = 1; i <= k && choices <= MaxChoices * 100L; i++) choices = choices * (n - k + i) / i;
        return choices;
    }

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

    /// <summary>From each GPU on, one after the other the one whose weakest connection to those chosen is the best.</summary>
    private static IEnumerable<int[]> Nearest(int[,] rank, int count)
    {
        var n = rank.GetLength(0);
        for (var first = 0; first < n; first++)
        {
            var chosen = new List<int> { first };
            while (chosen.Count < count)
                chosen.Add(Enumerable.Range(0, n).Except(chosen).MaxBy(x => (chosen.Min(c => rank[c, x]), chosen.Sum(c => rank[c, x]), -x)));
            yield return [.. chosen.Order()];
        }
    }
}
