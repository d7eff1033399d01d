using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Http;

/// <summary>Reads the JSON body of a management request, and writes a 400 response if it is invalid.</summary>
/// <param name="Node">The parsed body.</param>
public sealed record JsonBody(JsonNode? Node)
{
    /// <summary>Maximum nesting depth. Declarations need four levels.</summary>
    private const int MaxDepth = 16;

    /// <summary>Reads the body. Null: an error response was written.</summary>
    public static async Task<JsonBody?> ReadAsync(HttpContext context)
    {
        if (context.Request.ContentLength == 0
            || context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false })
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                "The body is empty; expected a JSON object.");
            return null;
        }

        try
        {
            return new JsonBody(await JsonNode.ParseAsync(context.Request.Body, null,
                new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false },
                context.RequestAborted));
        }
        catch (JsonException e)
        {
            var place = e.LineNumber is { } line ? $" at line {line + 1}, byte {e.BytePositionInLine + 1}" : "";
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"The body is not valid JSON{place}: {e.Message.Split(" LineNumber")[0]}");
        }
        catch (BadHttpRequestException e)
        {
            await Problem.WriteAsync(context, e.StatusCode, e.Message);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            // Kestrel also throws other exceptions than BadHttpRequestException: a chunk size beyond 64 bits overflows
            // its parser.
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, $"The body cannot be read: {e.Message}");
        }

        return null;
    }

    /// <summary>Writes a 400 response that lists the invalid fields.</summary>
    public static Task RefuseAsync(HttpContext context, IReadOnlyList<FieldError> errors) =>
        Problem.WriteAsync(context, StatusCodes.Status400BadRequest, string.Join("; ", errors), errors: errors);
}
