using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using k8s.Autorest;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Classifies and describes failures of calls to the API server.</summary>
internal static class KubernetesErrors
{
    /// <summary>Whether the API server did not answer, or cannot answer now: the call may be repeated.</summary>
    public static bool IsDown(Exception e) => e switch
    {
        HttpOperationException http => http.Response?.StatusCode is null or HttpStatusCode.TooManyRequests
            or >= HttpStatusCode.InternalServerError,
        HttpRequestException or IOException or TimeoutException => true,
        // The client's own timeout; a cancelled call has a cancelled token, which the caller checks first.
        TaskCanceledException => true,
        _ => false,
    };

    /// <summary>Whether a call was answered with a status.</summary>
    public static bool Is(Exception e, HttpStatusCode status) =>
        e is HttpOperationException { Response.StatusCode: var code } && code == status;

    /// <summary>Returns the message of the API server, or else of the exception.</summary>
    public static string Describe(Exception e)
    {
        if (e is not HttpOperationException http) return e.InnerException is { } inner ? Describe(inner) : e.Message;
        try
        {
            if (JsonNode.Parse(http.Response?.Content ?? "")?["message"]?.GetValue<string>() is { } message)
                return message;
        }
        catch (Exception parse) when (parse is JsonException or InvalidOperationException or FormatException)
        {
            // The answer is not a Status object: a proxy's page, for example.
        }

        return http.Message;
    }
}
