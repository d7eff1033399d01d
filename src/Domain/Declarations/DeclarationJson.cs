using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

/// <summary>
/// Defines the JSON form of declarations. It uses reflection: source-generated code sets init-only properties that a
/// document omits to null instead of keeping their defaults (github.com/dotnet/runtime/issues/84484).
/// </summary>
public static class DeclarationJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        Converters =
        {
            new DurationConverter(), new SizeConverter(), new ScalerConverter(), new PauseConverter(),
            new ProtocolConverter(), new PullPolicyConverter(), new EnvConverter(), new PodApplicationConverter(),
        },
    };

    public static JsonTypeInfo<ManifestFile> ManifestFile { get; } = GetTypeInfo<ManifestFile>();

    public static JsonTypeInfo<Template> Template { get; } = GetTypeInfo<Template>();

    public static JsonTypeInfo<Endpoint> Endpoint { get; } = GetTypeInfo<Endpoint>();

    /// <summary>Returns the JSON form of another type whose fields are declarations.</summary>
    internal static JsonTypeInfo<T> GetTypeInfo<T>() => (JsonTypeInfo<T>)Options.GetTypeInfo(typeof(T));
}
