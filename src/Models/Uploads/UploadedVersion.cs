using System.Text.Json.Serialization;

namespace Sluice.Models.Uploads;

/// <summary>A version of a model that admins uploaded.</summary>
/// <param name="Name">The name of the model.</param>
/// <param name="Version">The version.</param>
/// <param name="Bytes">The size of its files.</param>
/// <param name="Files">The number of its files.</param>
/// <param name="UploadedAt">When the upload was complete.</param>
public sealed record UploadedVersion(string Name, string Version, long Bytes, int Files, DateTimeOffset UploadedAt);

/// <summary>The serializer of the descriptions of uploads.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(UploadedVersion))]
internal sealed partial class UploadJson : JsonSerializerContext;
