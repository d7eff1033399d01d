using System.Text.Json;

namespace Sluice.Worker.OpenAi;

/// <summary>What all objects of a response begin with. All events of a stream have the same values.</summary>
/// <param name="Id">The id of the response.</param>
/// <param name="Created">Time of the request, in seconds since 1970.</param>
/// <param name="Model">Name of the model.</param>
internal sealed record ResponseHead(string Id, long Created, string Model)
{
    /// <summary>Writes the fields.</summary>
    /// <param name="json">The output, in an object.</param>
    /// <param name="type">The value of <c>object</c>.</param>
    public void Write(Utf8JsonWriter json, string type)
    {
        json.WriteString("id", Id);
        json.WriteString("object", type);
        json.WriteNumber("created", Created);
        json.WriteString("model", Model);
    }
}
