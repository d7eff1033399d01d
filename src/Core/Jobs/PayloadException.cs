namespace Sluice.Core.Jobs;

/// <summary>What a payload file suffers from.</summary>
public enum PayloadFault
{
    /// <summary>The file cannot be read or written now: an error of the disk, or a missing permission.</summary>
    Broken,

    /// <summary>The shared folder is not there, or another folder is in its place. It concerns this gateway only, and passes when the share returns.</summary>
    Unavailable,

    /// <summary>The disk of the folder is full, or its quota is used up.</summary>
    Full,

    /// <summary>The folder is there, and the file is not in it.</summary>
    Lost,
}

/// <summary>The folder of large payloads does not do what it must. The message is for clients of any key: it has no path; the inner exception has.</summary>
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
        PayloadFault.Unavailable => "the folder of large payloads (SLUICE_PAYLOADS) is not available at this gateway",
        PayloadFault.Full => "the folder of large payloads (SLUICE_PAYLOADS) is full",
        PayloadFault.Lost => "the file of a large payload is not in SLUICE_PAYLOADS any more",
        _ => "the folder of large payloads (SLUICE_PAYLOADS) cannot be used; the gateway's log has the error",
    };
}
