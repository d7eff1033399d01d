using Sluice.Domain.Fleet;

namespace Sluice.Simulator;

/// <summary>Allocates devices for pods.</summary>
public interface IPlacer
{
    /// <summary>Returns the ids of the pods that got their devices.</summary>
    IReadOnlySet<string> Place(IReadOnlyList<Pod> pods);

    /// <summary>Releases the devices of an ended pod.</summary>
    void Free(Pod pod);

    /// <summary>
    /// The endpoints that can never get devices. Their requests are refused, as the gateway does it with 503.
    /// </summary>
    IReadOnlySet<string> NeverFits { get; }
}
