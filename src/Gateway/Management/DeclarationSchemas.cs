using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Management;

/// <summary>
/// Describes declarations in the OpenAPI document as clients read and write them (<see cref="DeclarationJson"/>): names
/// of enum values, durations, sizes, and the fields that only responses have.
/// </summary>
internal static class DeclarationSchemas
{
    /// <summary>The form of <see cref="Sluice.Domain.Notation.Duration"/>.</summary>
    private const string DurationPattern = @"^(\d+(\.\d+)?(ms|s|m|h|d))+$";

    /// <summary>The form of a text that <see cref="Sluice.Domain.Notation.SizeConverter"/> reads.</summary>
    private const string SizePattern = @"^\d+\s*(KiB|MiB|GiB)$";

    /// <summary>Corrects the schema of a type or a property.</summary>
    public static async Task TransformAsync(
        OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken ct)
    {
        // The schema lists every parameter of a record as required, also those that are omitted when they are null.
        foreach (var field in context.JsonTypeInfo.Properties)
            if (field.AttributeProvider?.IsDefined(typeof(JsonIgnoreAttribute), inherit: true) == true)
                schema.Required?.Remove(field.Name);
        var type = context.JsonTypeInfo.Type;
        if (type == typeof(Template) || type == typeof(Endpoint))
        {
            AddReadOnly(schema, "origin", Names("manifest", "api"));
            if (type == typeof(Endpoint))
                AddReadOnly(schema, "status", await context.GetOrCreateSchemaAsync(
                    typeof(EndpointStatus), cancellationToken: ct));
        }
        else if (type == typeof(Scaler) || type == typeof(Pause) || type == typeof(WorkerProtocol)
            || type == typeof(PullPolicy))
        {
            var options = DeclarationJson.Template.Options;
            schema.Type = JsonSchemaType.String;
            schema.Enum = [.. Enum.GetValues(type).Cast<object>()
                .Select(v => JsonSerializer.SerializeToNode(v, type, options)!)];
        }
        else if (context.JsonPropertyInfo is { } property && IsDeclared(property.DeclaringType))
        {
            if (type == typeof(TimeSpan)) schema.Pattern = DurationPattern;
            if (type == typeof(long)) schema.Pattern = SizePattern;
        }
    }

    private static bool IsDeclared(Type type) =>
        type.Namespace == typeof(Template).Namespace || type == typeof(GpuRequirements);

    private static OpenApiSchema Names(params string[] names) => new()
    {
        Type = JsonSchemaType.String,
        Enum = [.. names.Select(n => JsonValue.Create(n))],
    };

    private static void AddReadOnly(OpenApiSchema schema, string name, OpenApiSchema field)
    {
        field.ReadOnly = true;
        schema.Properties ??= new Dictionary<string, IOpenApiSchema>();
        schema.Properties[name] = field;
    }
}
