using System.Text.Json.Serialization;
using Sluice.Domain.Placement;

namespace Sluice.Storage.Fleet;

/// <summary>Workers of an endpoint that wait for GPUs.</summary>
/// <param name="EndpointId">The endpoint.</param>
/// <param name="Workers">Number of waiting workers.</param>
/// <param name="Since">Since when at least one worker waits.</param>
/// <param name="Never">Whether no GPU of these machines can ever match.</param>
/// <param name="Part">The field of <c>gpu</c> that cannot be satisfied.</param>
/// <param name="Reason">The reason as text.</param>
/// <param name="WouldFit">Alternatives as text; empty if there is none.</param>
public sealed record GpuWait(
    string EndpointId, int Workers, DateTimeOffset Since, bool Never, string Part, string Reason, string WouldFit)
{
    /// <summary>The text for clients without an API key, without names of devices and other endpoints.</summary>
    [JsonIgnore]
    public string PublicText => Never ? "No GPU fits its workers." : "No GPU is free for its workers.";

    /// <summary>Returns the text for a client.</summary>
    public string TextFor(bool anonymous) => anonymous ? PublicText : Text;

    /// <summary>The text for clients with an API key.</summary>
    public string Text => WouldFit.Length > 0 ? $"{Reason}; {WouldFit}." : $"{Reason}.";
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(GpuAllocation))]
[JsonSerializable(typeof(GpuWait))]
internal sealed partial class ClaimJson : JsonSerializerContext;
