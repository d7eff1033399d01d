using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// The generated serializers of the responses of the jobs API that have a fixed form. <see cref="JobView"/> writes
/// jobs.
/// </summary>
[JsonSerializable(typeof(JobState))]
[JsonSerializable(typeof(PurgeResult))]
[JsonSerializable(typeof(JobHealth))]
[JsonSerializable(typeof(StreamError))]
internal sealed partial class JobResponseJson : JsonSerializerContext
{
    /// <summary>
    /// The serializers with the escaping of all responses: a response is never interpreted as HTML, so quotes and
    /// apostrophes are not escaped.
    /// </summary>
    public static JobResponseJson Relaxed { get; } = new(new JsonSerializerOptions(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
