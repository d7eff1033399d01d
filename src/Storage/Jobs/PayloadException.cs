namespace Sluice.Storage.Jobs;

/// <summary>
/// Thrown when the folder of large payloads fails. The message may be shown to any client: it contains no path; the
/// inner exception does.
/// </summary>
public sealed class PayloadException : IOException
{
    public PayloadException()
    {
    }

    public PayloadException(string message) : base(message)
    {
    }

    public PayloadException(string message, Exception? inner) : base(message, inner)
    {
    }

    public PayloadException(PayloadFault fault, Exception? inner) : base(Sentence(fault), inner) => Fault = fault;

    public PayloadFault Fault { get; }

    private static string Sentence(PayloadFault fault) => fault switch
    {
        PayloadFault.Unavailable => "The folder of large payloads (SLUICE_PAYLOADS) is not available to this gateway.",
        PayloadFault.Full => "The folder of large payloads (SLUICE_PAYLOADS) is full.",
        PayloadFault.Lost => "The file of a large payload is missing from its folder (SLUICE_PAYLOADS).",
        _ => "The folder of large payloads (SLUICE_PAYLOADS) cannot be used. The gateway log contains the error.",
    };
}
