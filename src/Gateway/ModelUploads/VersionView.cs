using System.Text.Json.Serialization;

namespace Sluice.Gateway.ModelUploads;

/// <summary>A version of an uploaded model.</summary>
/// <param name="Version">The version.</param>
/// <param name="State"><c>ready</c>, <c>uploading</c> while bytes are missing, or <c>checking</c> before it is
/// ready.</param>
/// <param name="Source">The value for <c>model.source</c> of an endpoint.</param>
/// <param name="Bytes">The size of its files, or the bytes that were received.</param>
/// <param name="Files">The number of its files.</param>
/// <param name="UploadedAt">When it was complete.</param>
/// <param name="UsedBy">The endpoints that declare it.</param>
public sealed record VersionView(string Version, string State, string Source, long Bytes,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Files,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? UploadedAt,
    IReadOnlyList<string> UsedBy);
