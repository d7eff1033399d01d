using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Core.Endpoints;

namespace Sluice.Gateway.Api;

/// <summary>A management request's JSON body, or a 400 that says what is wrong with it.</summary>
/// <param name="Node">The document.</param>
public sealed record JsonBody(JsonNode? Node)
{
    /// <summary>Declarations need four levels.</summary>
    private const int MaxDepth = 16;

    /// <summary>The body; null: the client was told.</summary>
    public static async Task<JsonBody?> ReadAsync(HttpContext context)
    {
        try
        {
            return new JsonBody(await JsonNode.ParseAsync(context.Request.Body, null,
                new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false }, context.RequestAborted));
        }
        catch (JsonException e)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, $"the body is not JSON: {e.Message}");
        }
        catch (BadHttpRequestException e)
        {
            await Problem.WriteAsync(context, e.StatusCode, e.Message);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            // Kestrel throws more than its own kind at a body: a chunk size beyond 64 bits overflows its reader.
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, $"the body cannot be read: {e.Message}");
        }

        return null;
    }

    public static Task RefuseAsync(HttpContext context, IReadOnlyList<FieldError> errors) =>
        Problem.WriteAsync(context, StatusCodes.Status400BadRequest, string.Join("; ", errors), errors: errors);
}
