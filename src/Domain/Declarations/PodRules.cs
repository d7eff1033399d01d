namespace Sluice.Domain.Declarations;

/// <summary>Validates what pods of a template have. Pure.</summary>
public static class PodRules
{
    /// <summary>Maximum ports of a pod. RunPod allows 10 HTTP ports.</summary>
    public const int MostPorts = 20;

    private static readonly TimeSpan Year = TimeSpan.FromDays(365);

    /// <summary>Validates the policy of a template or pod.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="check">Receives the errors.</param>
    /// <param name="prefix">The path of the policy, with a dot at its end; empty: the document itself.</param>
    internal static void Check(PodPolicy policy, EndpointRules.Checker check, string prefix)
    {
        check.Range($"{prefix}ports", policy.Ports.Count, 0, MostPorts);
        for (var i = 0; i < policy.Ports.Count; i++)
        {
            check.That(PodPort.TryParse(policy.Ports[i], out var port), $"{prefix}ports[{i}]", policy.Ports[i],
                PodPort.Expected);
            check.That(!policy.Ports.Take(i).Any(p => PodPort.TryParse(p, out var o) && o.Number == port.Number),
                $"{prefix}ports[{i}]", policy.Ports[i], "a number that no other port has");
        }

        if (policy.Volume is { } volume)
        {
            check.That(volume.Path.StartsWith('/') && volume.Path.Length > 1 && !volume.Path.Split('/').Contains("..")
                && !volume.Path.Contains(':', StringComparison.Ordinal), $"{prefix}volume.path", volume.Path,
                "an absolute path without '..', except /");
            check.Range($"{prefix}volume.size", volume.Size, 0, 1L << 50);
        }

        check.Range($"{prefix}disk", policy.Disk, 0, 1L << 50);
        Optional($"{prefix}idleTimeout", policy.IdleTimeout, TimeSpan.FromSeconds(1));
        Optional($"{prefix}stopAfter", policy.StopAfter, TimeSpan.FromSeconds(1));
        Optional($"{prefix}terminateAfter", policy.TerminateAfter, TimeSpan.FromSeconds(1));

        void Optional(string field, TimeSpan value, TimeSpan least)
        {
            if (value != TimeSpan.Zero) check.Range(field, value, least, Year);
        }
    }
}
