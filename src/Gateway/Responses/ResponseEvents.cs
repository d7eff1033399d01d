using System.Text;
using System.Text.Json.Nodes;

namespace Sluice.Gateway.Responses;

/// <summary>Writes the events of a response as server-sent events, which have a name and no id.</summary>
internal static class ResponseEvents
{
    public const string ContentType = "text/event-stream; charset=utf-8";

    /// <summary>Returns the events as they are sent.</summary>
    public static byte[] Write(IEnumerable<JsonObject> events)
    {
        var text = new StringBuilder();
        foreach (var one in events)
            text.Append("event: ").Append(ResponseJson.Text(one["type"])).Append("\ndata: ")
                .Append(ResponseJson.Write(one)).Append("\n\n");
        return Encoding.UTF8.GetBytes(text.ToString());
    }
}
