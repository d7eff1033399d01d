using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

public sealed class ProtocolConverter()
    : NamedConverter<WorkerProtocol>(("h2c", WorkerProtocol.H2c), ("http1", WorkerProtocol.Http1));
