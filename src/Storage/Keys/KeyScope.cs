using System.Text.Json.Serialization;

namespace Sluice.Storage.Keys;

/// <summary>The permissions of a key.</summary>
public sealed record KeyScope
{
    /// <summary>Whether the key may use everything: management, metrics and every endpoint.</summary>
    public bool Admin { get; init; }

    /// <summary>
    /// Whether the key may read everything that the management API shows, and the jobs of every endpoint. It changes
    /// nothing, and reads no secret.
    /// </summary>
    public bool Read { get; init; }

    /// <summary>Whether the key may read the Prometheus metrics of the gateway and of the workers.</summary>
    public bool Metrics { get; init; }

    /// <summary>The IDs of the endpoints that the key may invoke; <c>*</c> means all.</summary>
    public IReadOnlyList<string> Invoke { get; init; } = [];

    /// <summary>
    /// The IDs of the pods that the key may open; <c>*</c> means all. Records of earlier versions do not contain it.
    /// </summary>
    public IReadOnlyList<string> Pods
    {
        get;
        init => field = value ?? [];
    } = [];

    /// <summary>Whether the key may read the state of the gateway, and the jobs of all keys.</summary>
    [JsonIgnore]
    public bool MayRead => Admin || Read;

    /// <summary>Whether the key may read Prometheus metrics.</summary>
    [JsonIgnore]
    public bool MayReadMetrics => MayRead || Metrics;

    public bool MayInvoke(string endpointId) => Admin || Invoke.Contains("*") || Invoke.Contains(endpointId);

    /// <summary>Whether the key may see which endpoints exist.</summary>
    public bool SeesAll => MayRead || Invoke.Contains("*");

    /// <summary>Whether the key may connect to the ports of a pod, read its state and its log.</summary>
    /// <param name="podId">The pod.</param>
    /// <param name="owns">Whether the key created it.</param>
    public bool MayOpenPod(string podId, bool owns) => Admin || owns || Pods.Contains("*") || Pods.Contains(podId);
}
